//! What a page says of this machine, and of what was not seen here.

use std::fs;

use peripety_page::{Facts, Unseen};

use crate::{
    cli::{known, stats},
    daemon::Host,
    roots::Roots,
};

pub(super) fn here(roots: &Roots) -> (Facts, Vec<Unseen>) {
    let host = Host::read(roots);
    let uname = rustix::system::uname();
    let mut rows = vec![
        ("System".to_owned(), system().unwrap_or_else(|| "not known".to_owned())),
        (
            "Kernel".to_owned(),
            format!("{} {}", uname.release().to_string_lossy(), uname.machine().to_string_lossy()),
        ),
        ("Boot".to_owned(), host.boot_id),
    ];
    let mut unseen = Vec::new();
    match known::state(roots) {
        Ok((_, known)) => {
            rows.push(("Known from".to_owned(), known.by.join(", ")));
            if let Some(since) = known.since {
                rows.push(("Oldest event".to_owned(), since.to_string()));
            }
            unseen.extend(known.limits.into_iter().map(|l| Unseen { what: l.what, why: l.why, count: None }));
        }
        Err(error) => {
            unseen.push(Unseen { what: "peripetyd".to_owned(), why: format!("{error:#}"), count: None })
        }
    }
    // Without a daemon that can be asked, the limits say so already.
    if let Ok(lost) = stats::lost(roots) {
        unseen.extend(lost);
    }
    (Facts { of: host.hostname, rows }, unseen)
}

/// The distribution's name of itself.
fn system() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}
