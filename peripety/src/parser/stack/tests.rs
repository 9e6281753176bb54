//! Reports of many lines, as kernels print them.

use super::*;

fn read(lines: &[&str]) -> Vec<(String, Option<String>)> {
    let mut reader = StackReader::default();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let record = LogRecord { text: (*line).to_owned(), ..LogRecord::default() };
        let time = Stamp { monotonic_ns: Some(at as u64 * 1000), realtime_us: 0 };
        if let Some(raw) = reader.push(&record, time) {
            let function = raw.facts.kernel.as_deref().and_then(|kernel| kernel.function.clone());
            found.push((raw.event_type.as_str().to_owned(), function));
        }
    }
    found
}

fn found(event_type: &str, function: &str) -> Vec<(String, Option<String>)> {
    vec![(event_type.to_owned(), Some(function.to_owned()))]
}

#[test]
fn a_task_that_waits_for_storage_is_an_event() {
    let lines = [
        "INFO: task worker:7122 blocked for more than 122 seconds.",
        "      Not tainted 6.4.7-arch1-61 #1",
        "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.",
        "Call Trace:",
        " <TASK>",
        " __schedule+0x3e8/0x13f0",
        " ? __pfx_wake_page_function+0x10/0x10",
        " xfs_file_fsync+0x5e/0x2a0 [xfs 2be3d2e4a125ddff8482931cb8f078f6393b16a6]",
        " io_schedule+0x46/0x70",
    ];
    assert_eq!(read(&lines), found("TASK_BLOCKED", "xfs_file_fsync"));
    let old = [
        "INFO: task rsync:9: a:2511 blocked for more than 120 seconds.",
        "Call Trace:",
        " [<ffffffff8150e953>] io_schedule+0x73/0xc0",
    ];
    assert_eq!(read(&old), found("TASK_BLOCKED", "io_schedule"));
}

#[test]
fn a_task_that_waits_for_something_else_is_none() {
    let lines = [
        "INFO: task NetworkManager:812 blocked for more than 120 seconds.",
        " __schedule+0x3e8/0x13f0",
        " schedule_preempt_disabled+0x18/0x30",
        " __mutex_lock.constprop.0+0x4f3/0x6f0",
        " rtnl_lock+0x15/0x20",
        " ? ext4_dirty_inode+0x10/0x20",
    ];
    assert_eq!(read(&lines), []);
    // The name of a process is its own choice.
    assert_eq!(read(&["INFO: task xfs_io+0x1/0x2:5 blocked for more than 120 seconds."]), []);
    assert_eq!(read(&["INFO: task a blocked for more than x seconds."]), []);
    assert_eq!(read(&[" xfs_file_fsync+0x5e/0x2a0 [xfs]"]), []);
}

#[test]
fn a_bug_is_where_its_stack_says() {
    assert_eq!(read(&["kernel BUG at fs/ext4/inode.c:2721!"]), [("KERNEL_BUG_IN_STORAGE".to_owned(), None)]);
    assert_eq!(read(&["kernel BUG at net/core/skbuff.c:111!", " skb_panic+0x4a/0x4c"]), []);
    let oops = [
        "BUG: kernel NULL pointer dereference, address: 0000000000000058",
        "#PF: supervisor read access in kernel mode",
        "Oops: 0000 [#1] PREEMPT SMP",
        "RIP: 0010:nvme_tcp_io_work+0x11/0x90 [nvme_tcp]",
    ];
    assert_eq!(read(&oops), found("KERNEL_BUG_IN_STORAGE", "nvme_tcp_io_work"));
    let target = [
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008",
        "IP: [<ffffffff816edb71>] do_work+0x11/0x30 [dm_journal_ng]",
    ];
    assert_eq!(read(&target), found("KERNEL_BUG_IN_STORAGE", "do_work"));
    let other = [
        "BUG: unable to handle page fault for address: ffffb0c0",
        "RIP: 0010:amdgpu_ring_write+0x11/0x90 [amdgpu]",
        " drm_sched_main+0x1/0x2",
        " kthread+0xd7/0x100",
        " blk_mq_run_work_fn+0x1/0x2",
    ];
    assert_eq!(read(&other), []);
}

#[test]
fn a_piece_of_a_users_text_is_no_report_and_no_part_of_one() {
    let time = Stamp { monotonic_ns: Some(1), realtime_us: 0 };
    let mut reader = StackReader::default();
    let mut push = |text: &str, fragment| {
        let record = LogRecord { text: text.to_owned(), fragment, ..LogRecord::default() };
        (reader.push(&record, time), reader.is_open())
    };
    assert_eq!(push("kernel BUG at fs/ext4/inode.c:2721!", true), (None, false));
    assert_eq!(push("INFO: task a:1 blocked for more than 122 seconds.", true), (None, false));
    push("INFO: task a:1 blocked for more than 122 seconds.", false);
    assert_eq!(push(" xfs_file_fsync+0x5e/0x2a0 [xfs]", true), (None, true));
    assert!(push(" xfs_file_fsync+0x5e/0x2a0 [xfs]", false).0.is_some());
}

#[test]
fn a_warning_is_one_of_storage_by_its_file() {
    let old =
        "WARNING: CPU: 3 PID: 1233 at fs/btrfs/extent-tree.c:2966 __btrfs_free_extent+0x30b/0xc40 [btrfs]";
    assert_eq!(read(&[old]), [("KERNEL_BUG_IN_STORAGE".to_owned(), None)]);
    let new = "WARNING: fs/iomap/buffered-io.c:1041 at iomap_iter+0x32f/0x360, CPU#1: fio/811";
    assert_eq!(read(&[new]), [("KERNEL_BUG_IN_STORAGE".to_owned(), None)]);
    for other in [
        "WARNING: CPU: 0 PID: 0 at net/sched/sch_generic.c:525 dev_watchdog+0x207/0x210",
        "WARNING: Pool 'fs/ext4/' has something",
        "WARNING: possible circular locking dependency detected",
        "WARNING: ",
    ] {
        assert_eq!(read(&[other]), [], "{other}");
    }
}

#[test]
fn a_worker_waits_for_what_it_was_given_to_do() {
    let mut reader = StackReader::default();
    let mut device = |work: &str| {
        let mut found = None;
        for line in ["INFO: task kworker/u16:2:2904 blocked for more than 120 seconds.", work] {
            let record = LogRecord { text: line.to_owned(), ..LogRecord::default() };
            let time = Stamp { monotonic_ns: Some(1), realtime_us: 0 };
            found = reader.push(&record, time);
        }
        found.map(|raw| raw.kdev.to_text())
    };
    assert_eq!(device("Workqueue: writeback wb_workfn (flush-8:16)").as_deref(), Some("8:16"));
    assert_eq!(device("Workqueue: xfs-cil/dm-3 xlog_cil_push_work [xfs]").as_deref(), Some("dm-3"));
    assert_eq!(device("Workqueue: kcopyd do_work [dm_mod]").as_deref(), Some(""));
    assert_eq!(device("Workqueue: events rtl8152_work [r8152]"), None);
    assert_eq!(device("Workqueue: "), None);
}

#[test]
fn where_each_frame_is_a_guess_guesses_count() {
    let guesses = [
        "INFO: task rsync:2511 blocked for more than 120 seconds.",
        "Call Trace:",
        " [<ffffffff8780fe79>] ? __schedule+0x239/0x6f0",
        " [<ffffffff8780fbdd>] ? io_schedule_timeout+0x9d/0x100",
    ];
    assert_eq!(read(&guesses), found("TASK_BLOCKED", "io_schedule_timeout"));
    let sure = [
        "INFO: task rsync:2511 blocked for more than 120 seconds.",
        " [<ffffffff8780fe79>] __schedule+0x239/0x6f0",
        " [<ffffffff8780fbdd>] ? io_schedule_timeout+0x9d/0x100",
    ];
    assert_eq!(read(&sure), []);
}
