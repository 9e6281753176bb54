//! System calls that are refused: seccomp. A list of what is refused, not of what is allowed: what a later C library calls
//! shall not stop the daemon.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::Sandbox;

/// Refused with EPERM: what changes the machine, other processes, or this one's identity.
const REFUSED: &[c_long] = &[
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Namespaces; those of clone are below.
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    libc::SYS_personality,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Identity and keys.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Large and not used here.
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
];

/// Those that not every architecture has.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_mknod,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

const NEW_NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWCGROUP,
];

pub(super) fn refuse(sandbox: &mut Sandbox) {
    let arch = match TargetArch::try_from(std::env::consts::ARCH) {
        Ok(arch) => arch,
        Err(error) => return sandbox.note("seccomp", &error),
    };
    match filters(arch)
        .and_then(|filters| filters.iter().try_for_each(|filter| seccompiler::apply_filter(filter)))
    {
        Ok(()) => {
            let count = REFUSED.len() + REFUSED_HERE.len();
            sandbox.calls = format!("{count}, new namespaces, sockets other than Unix");
        }
        Err(error) => sandbox.note("seccomp", &error),
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn filters(arch: TargetArch) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let mut refused: Rules = REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    refused.insert(libc::SYS_clone, new_namespaces()?);
    let socket = [(libc::SYS_socket, vec![other_families()?])].into();
    // Its flags lie in memory, where no filter sees them; C libraries fall back to clone.
    let clone3 = [(libc::SYS_clone3, Vec::new())].into();
    let filter = |rules: Rules, errno: i32| -> Result<BpfProgram, seccompiler::Error> {
        let refuse = SeccompAction::Errno(errno.cast_unsigned());
        Ok(SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?)
    };
    Ok(vec![
        filter(refused, libc::EPERM)?,
        filter(socket, libc::EAFNOSUPPORT)?,
        filter(clone3, libc::ENOSYS)?,
    ])
}

/// A rule for each flag: one that matches is enough.
fn new_namespaces() -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let rule = |flag: &i32| {
        let flag = u64::from(flag.cast_unsigned());
        let is_set = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag)?;
        Ok(SeccompRule::new(vec![is_set])?)
    };
    NEW_NAMESPACES.iter().map(rule).collect()
}

/// All conditions of a rule have to hold.
fn other_families() -> Result<SeccompRule, seccompiler::Error> {
    let is_not = |family: i32| {
        let family = u64::from(family.cast_unsigned());
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
    };
    Ok(SeccompRule::new(vec![is_not(libc::AF_UNIX)?])?)
}
