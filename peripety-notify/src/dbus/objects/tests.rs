//! The descriptions of the interfaces, which are installed and which other programs are generated from.

use std::{fs, path::Path};

use peripety::internal::Roots;
use zbus::object_server::Interface;

use super::*;
use crate::{
    dbus::{detail::Detail, shown::Shown, view::Block},
    message::sample,
};

fn described(interface: &dyn Interface) -> String {
    let mut xml = String::new();
    interface.introspect_to_writer(&mut xml, 2);
    let head = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
                \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";
    let lines: Vec<&str> = xml.lines().map(str::trim_end).collect();
    format!(
        "{head}<!-- Made of peripety-notify/src/dbus/objects. -->\n<node>\n{}\n</node>\n",
        lines.join("\n")
    )
}

#[test]
fn the_interfaces_are_those_that_are_written_down() {
    let detail = Detail::new(&Roots::system());
    let event = peripety_model::Event {
        block: Some(std::sync::Arc::new(peripety_model::BlkInfo {
            id: peripety_model::BlkId { blk_path: "/dev/sda".into(), ..Default::default() },
            ..Default::default()
        })),
        ..peripety_model::Event::new(
            peripety_model::incident::IncidentId::nil(),
            peripety_model::EventType::BLK_IO_ERROR,
            jiff::Timestamp::UNIX_EPOCH,
        )
    };
    let view = Block::of(&event).unwrap().1;
    let manager = ManagerObject { detail: detail.clone(), shown: Shown::default() };
    let block = BlockObject { detail: detail.clone(), shown: Shown::new(view) };
    let incident = IncidentObject { detail, shown: Shown::new((sample(), names::NONE.into())) };
    let all: [(&str, &dyn Interface); 3] =
        [("Manager", &manager), ("Block", &block), ("Incident", &incident)];
    for (name, interface) in all {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("dbus/org.peripety1.{name}.xml"));
        let xml = described(interface);
        if std::env::var_os("PERIPETY_BLESS").is_some() {
            fs::write(&path, &xml).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, xml, "{}: PERIPETY_BLESS=1 writes it anew", path.display());
    }
}
