//! How a device is reached, by its place in sysfs and by the class of each transport.

use std::path::{Component, Path};

use super::{BlkType, Transport, attr, sysfs::SysDevice};
use crate::{Roots, files::Files};

/// How a device is reached.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Address on the transport: H:C:T:L, PCI address.
    pub id: String,
    /// What is known of the transport.
    pub transport: Option<Transport>,
    /// For an NVMe namespace: the same by each of its controllers.
    pub ways: Vec<Transport>,
}

type Finder = fn(&Roots, &[&str]) -> Option<Transport>;

/// The nearest transport wins: a SATA disk behind a SAS expander is reached by SAS, a disk of a virtual machine's iSCSI
/// initiator by iSCSI.
const FINDERS: &[Finder] = &[iscsi, fc, sas, sata, usb, virtio];

/// How this device is reached; nothing for devices without hardware.
pub(super) fn of(roots: &Roots, device: &SysDevice) -> Reached {
    if device.id.blk_type == BlkType::Nvme {
        return nvme(roots, device);
    }
    let parts = parts(&device.dir);
    let transport = FINDERS.iter().find_map(|find| find(roots, &parts));
    let id = match (&device.hctl, &transport) {
        (Some(hctl), _) => hctl.to_string(),
        (None, Some(Transport::Virtio { device })) => {
            pci(&parts).map_or_else(|| device.clone(), str::to_owned)
        }
        (None, _) if device.id.blk_type == BlkType::Mmc => {
            attr::link_name(&roots.files, &device.dir.join("device")).unwrap_or_default()
        }
        _ => String::new(),
    };
    Reached { id, transport, ways: Vec::new() }
}

/// The names of the directories that a device lies in: of the devices that it hangs on.
pub(super) fn parts(dir: &Path) -> Vec<&str> {
    dir.components()
        .filter_map(|part| if let Component::Normal(name) = part { name.to_str() } else { None })
        .collect()
}

/// After how many seconds the kernel stops waiting for a command: SCSI's own attribute, or that of the queue in milliseconds
/// (Linux 5.0).
pub(super) fn command_timeout_s(files: &Files, dir: &Path) -> Option<u64> {
    let of_queue = || attr::parsed::<u64>(files, &dir.join("queue/io_timeout")).map(|ms| ms.div_ceil(1000));
    attr::parsed(files, &dir.join("device/timeout")).or_else(of_queue).filter(|seconds| *seconds > 0)
}

/// For how many seconds a lost session, port or controller is waited for. None where that has no end, or is not so.
pub(super) fn recovery_s(roots: &Roots, device: &SysDevice, transport: Option<&Transport>) -> Option<u64> {
    let of = |class: &str, name: &str, attribute: &str| {
        attr::parsed(&roots.files, &roots.sysfs.join("class").join(class).join(name).join(attribute))
    };
    match transport? {
        Transport::Iscsi { session, .. } => of("iscsi_session", session, "recovery_tmo"),
        Transport::Nvme { controller, .. } => of("nvme", controller, "ctrl_loss_tmo"),
        Transport::Fc { .. } => {
            let mut parts = device.dir.components();
            let is_rport = |part: &Component<'_>| part.as_os_str().to_string_lossy().starts_with("rport-");
            let rport = parts.find(is_rport)?.as_os_str().to_str()?.to_owned();
            of("fc_remote_ports", &rport, "dev_loss_tmo")
        }
        _ => None,
    }
}

/// The last part of the path for which `is` holds.
fn part<'a>(parts: &[&'a str], is: impl Fn(&str) -> bool) -> Option<&'a str> {
    parts.iter().rev().copied().find(|name| is(name))
}

/// Whether `name` is `prefix` and a number, such as `session3`.
fn numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The nearest PCI address: `0000:00:02.0`.
fn pci<'a>(parts: &[&'a str]) -> Option<&'a str> {
    part(parts, |name| {
        let fields: Vec<&str> = name.split([':', '.']).collect();
        let hex = fields.iter().all(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_hexdigit()));
        hex && fields.len() == 4 && name.contains('.')
    })
}

fn iscsi(roots: &Roots, parts: &[&str]) -> Option<Transport> {
    let session = part(parts, |name| numbered(name, "session"))?;
    let of_session = |name: &str| {
        attr::text(&roots.files, &roots.sysfs.join("class/iscsi_session").join(session).join(name))
    };
    let connection = format!("connection{}:0", session.trim_start_matches("session"));
    let of_connection = |name: &str| {
        attr::text(&roots.files, &roots.sysfs.join("class/iscsi_connection").join(&connection).join(name))
    };
    // The persistent address is the one that was configured; a target may have redirected the login to another.
    let address = of_connection("persistent_address").or_else(|| of_connection("address"));
    let port = of_connection("persistent_port").or_else(|| of_connection("port"));
    Some(Transport::Iscsi {
        target: of_session("targetname")?,
        address: address.unwrap_or_default(),
        port: port.and_then(|p| p.parse().ok()).unwrap_or_default(),
        tpgt: of_session("tpgt").and_then(|t| t.parse().ok()).unwrap_or_default(),
        iface: of_session("ifacename").unwrap_or_default(),
        session: session.to_owned(),
    })
}

/// `…/host5/rport-5:0-3/target5:0:0/…`, below `host4/vport-4:0-1/` for a virtual port (drivers/scsi/scsi_transport_fc.c).
/// The port's state is that of the time when the device was last looked at.
fn fc(roots: &Roots, parts: &[&str]) -> Option<Transport> {
    let rport = part(parts, |name| name.starts_with("rport-"))?;
    let host = part(parts, |name| numbered(name, "host"))?;
    let of_host =
        |name: &str| attr::text(&roots.files, &roots.sysfs.join("class/fc_host").join(host).join(name));
    let of_rport = |name: &str| {
        attr::text(&roots.files, &roots.sysfs.join("class/fc_remote_ports").join(rport).join(name))
    };
    // A remote port that went is remembered by its target for a while.
    let target = part(parts, |name| name.starts_with("target"));
    let of_target = |name: &str| {
        attr::text(&roots.files, &roots.sysfs.join("class/fc_transport").join(target?).join(name))
    };
    Some(Transport::Fc {
        host_wwpn: of_host("port_name").unwrap_or_default(),
        target_wwpn: of_rport("port_name").or_else(|| of_target("port_name")).unwrap_or_default(),
        speed: of_host("speed").filter(|speed| !speed.starts_with("Unknown")).unwrap_or_default(),
        port_state: of_rport("port_state").unwrap_or_default(),
        rport: rport.to_owned(),
    })
}

/// `…/host0/port-0:0/expander-0:0/port-0:0:11/end_device-0:0:11/target0:0:0/…` (drivers/scsi/scsi_transport_sas.c). A disk
/// that is attached directly has a port of the host only; expanders may be cascaded.
fn sas(roots: &Roots, parts: &[&str]) -> Option<Transport> {
    let end_device = part(parts, |name| name.starts_with("end_device-"))?;
    let class = |class: &str, of: &str, name: &str| {
        // What the hardware does not report cannot be read, or reads so.
        let text = attr::text(&roots.files, &roots.sysfs.join("class").join(class).join(of).join(name));
        text.filter(|text| !text.is_empty() && !text.starts_with("Unknown"))
    };
    let of_device = |name: &str| class("sas_device", end_device, name);
    let behind = sas_behind(parts);
    let number = of_device("phy_identifier");
    let phy = number.as_ref().map(|phy| format!(" phy {phy}")).unwrap_or_default();
    let address = behind.zip(number.as_ref()).and_then(|(behind, number)| phy_name(behind, number));
    let enclosure =
        of_device("enclosure_identifier").filter(|id| id.trim_start_matches("0x").bytes().any(|b| b != b'0'));
    Some(Transport::Sas {
        address: of_device("sas_address").unwrap_or_default(),
        port: behind.map(|port| format!("{port}{phy}")).unwrap_or_default(),
        speed: address.and_then(|phy| class("sas_phy", &phy, "negotiated_linkrate")).unwrap_or_default(),
        // Without an enclosure there is no bay, whatever is read.
        bay: enclosure.as_ref().and_then(|_| of_device("bay_identifier")?.parse().ok()),
        enclosure: enclosure.unwrap_or_default(),
    })
}

/// What a SAS device hangs on: behind an expander the phy is the expander's, which is what is printed on the backplane.
fn sas_behind<'a>(parts: &[&'a str]) -> Option<&'a str> {
    part(parts, |name| name.starts_with("expander-"))
        .or_else(|| part(parts, |name| name.starts_with("port-")))
}

/// The phy of an expander is `phy-HOST:EXPANDER:N`, the host's own is `phy-HOST:N`.
fn phy_name(behind: &str, number: &str) -> Option<String> {
    let (kind, at) = behind.split_once('-')?;
    let at = if kind == "port" { at.split(':').next().unwrap_or(at) } else { at };
    Some(format!("phy-{at}:{number}"))
}

/// The phy that a SAS device is attached to, by its name in sysfs.
pub(super) fn sas_phy(roots: &Roots, parts: &[&str]) -> Option<String> {
    let end_device = part(parts, |name| name.starts_with("end_device-"))?;
    let number = roots.sysfs.join("class/sas_device").join(end_device).join("phy_identifier");
    phy_name(sas_behind(parts)?, &attr::text(&roots.files, &number)?)
}

/// The port of a SATA disk: `ata3`.
fn ata_port<'a>(parts: &[&'a str]) -> Option<&'a str> {
    part(parts, |name| numbered(name, "ata"))
}

/// Where sysfs shows the link of a SATA disk.
pub(super) fn ata_link(parts: &[&str]) -> Option<String> {
    ata_port(parts).map(|port| format!("class/ata_link/link{}", port.trim_start_matches("ata")))
}

/// The SCSI host that a device hangs on: `host2`.
pub(super) fn scsi_host<'a>(parts: &[&'a str]) -> Option<&'a str> {
    part(parts, |name| numbered(name, "host"))
}

fn sata(roots: &Roots, parts: &[&str]) -> Option<Transport> {
    let port = ata_port(parts)?;
    let speed = roots.sysfs.join(ata_link(parts)?).join("sata_spd");
    let speed = attr::text(&roots.files, &speed).filter(|speed| !speed.starts_with('<'));
    Some(Transport::Sata { port: port.to_owned(), speed: speed.unwrap_or_default() })
}

fn usb(_roots: &Roots, parts: &[&str]) -> Option<Transport> {
    let port = part(parts, |name| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        name.split_once('-').is_some_and(|(bus, ports)| digits(bus) && digits(ports))
    })?;
    Some(Transport::Usb { port: port.to_owned() })
}

fn virtio(_roots: &Roots, parts: &[&str]) -> Option<Transport> {
    part(parts, |name| numbered(name, "virtio")).map(|device| Transport::Virtio { device: device.to_owned() })
}

/// A controller (`nvme0`) and the id that a namespace has there.
pub(super) type NvmePath = (String, u32);

/// The controllers by which a namespace is reached, with its id there. A namespace with native multipath has a hidden disk
/// `nvme<subsystem>c<controller>n<head>` below each controller.
pub(super) fn nvme_controllers(roots: &Roots, dir: &Path, name: &str) -> Vec<NvmePath> {
    let nsid = |dir: &Path| attr::parsed::<u32>(&roots.files, &dir.join("nsid"));
    let mut found = Vec::new();
    let Some(device) = roots.files.canonical(&dir.join("device")) else { return found };
    let own = device.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if is_nvme_controller(own) {
        // Without an `nsid` attribute (before Linux 4.4) the name reports the same.
        let by_name = || name.rsplit_once('n').and_then(|(_, n)| n.parse().ok());
        found.extend(nsid(dir).or_else(by_name).map(|nsid| (own.to_owned(), nsid)));
        return found;
    }
    // The subsystem has a link to each of its controllers.
    for controller in attr::names(&roots.files, &device).into_iter().filter(|name| is_nvme_controller(name)) {
        let below = roots.sysfs.join("class/nvme").join(&controller);
        let hidden =
            attr::names(&roots.files, &below).into_iter().find(|path| head_of(path).as_deref() == Some(name));
        found.extend(hidden.and_then(|path| nsid(&below.join(path))).map(|nsid| (controller, nsid)));
    }
    found.sort_by_key(|(controller, _)| {
        controller.trim_start_matches("nvme").parse::<u32>().unwrap_or(u32::MAX)
    });
    found
}

/// Whether the name is one of an NVMe controller: `nvme0`.
pub fn is_nvme_controller(name: &str) -> bool {
    numbered(name, "nvme")
}

/// The multipath device (or its partition) that a hidden path `nvme0c1n1` belongs to: `nvme0n1`.
pub(super) fn head_of(path: &str) -> Option<String> {
    let (subsystem, rest) = path.strip_prefix("nvme")?.split_once('c')?;
    let (controller, head) = rest.split_once('n')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let head_is_one = head.split('p').all(digits);
    (digits(subsystem) && digits(controller) && head_is_one).then(|| format!("nvme{subsystem}n{head}"))
}

/// The first live controller stands for all; the others are in sysfs and in `nvme list-subsys`.
fn nvme(roots: &Roots, device: &SysDevice) -> Reached {
    let of = |controller: &str, name: &str| {
        attr::text(&roots.files, &roots.sysfs.join("class/nvme").join(controller).join(name))
    };
    let way = |controller: &str| Transport::Nvme {
        controller: controller.to_owned(),
        subsystem_nqn: of(controller, "subsysnqn").unwrap_or_default(),
        transport: of(controller, "transport").unwrap_or_default(),
        traddr: of(controller, "address").unwrap_or_default(),
    };
    let controllers = || device.nvme.iter().map(|(controller, _)| controller.as_str());
    let live = controllers().find(|controller| of(controller, "state").as_deref() == Some("live"));
    let Some(controller) = live.or_else(|| controllers().next()) else { return Reached::default() };
    Reached {
        id: of(controller, "address").unwrap_or_default(),
        transport: Some(way(controller)),
        ways: controllers().map(way).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_are_told_apart() {
        let parts = ["devices", "pci0000:00", "0000:00:02.0", "virtio1", "block", "vda"];
        assert_eq!(pci(&parts), Some("0000:00:02.0"));
        assert_eq!(virtio(&Roots::system(), &parts), Some(Transport::Virtio { device: "virtio1".into() }));
        let parts = [
            "devices",
            "pci0000:00",
            "0000:00:14.0",
            "usb2",
            "2-1",
            "2-1.4",
            "2-1.4:1.0",
            "host6",
            "target6:0:0",
        ];
        assert_eq!(usb(&Roots::system(), &parts), Some(Transport::Usb { port: "2-1.4".into() }));
        assert_eq!(pci(&parts), Some("0000:00:14.0"));
        assert_eq!(sata(&Roots::system(), &parts), None);
    }

    #[test]
    fn a_hidden_path_belongs_to_its_head() {
        assert_eq!(head_of("nvme0c1n1").as_deref(), Some("nvme0n1"));
        assert_eq!(head_of("nvme10c12n3p2").as_deref(), Some("nvme10n3p2"));
        for none in ["nvme0n1", "nvme0", "nvme0c1", "nvmec1n1", "sdc1n1", "nvme0c1nx"] {
            assert_eq!(head_of(none), None, "{none}");
        }
    }
}
