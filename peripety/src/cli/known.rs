//! What is known of the state of things, from whom, and what is not: for every command that would otherwise be silent.

use anyhow::Context as _;
use serde::Deserialize;

use super::{render::note, waiting::Waiting};
use crate::{
    event::Incident,
    query::{
        journald,
        socket::{Client, ClientError},
    },
    roots::Roots,
    state::{Known, Limit, Table, journal, note_progress},
};

/// How long the daemon may take to read the journal before it is said that it still does.
const READING: std::time::Duration = std::time::Duration::from_secs(3);

/// The daemon's answer to `status`.
#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    table: Table,
    /// Of a daemon that has them.
    #[serde(default)]
    incidents: Vec<Incident>,
    journal_read: bool,
    journal_error: Option<String>,
    /// Of a daemon that is older than this.
    #[serde(default)]
    known: Known,
}

/// The incidents that are open: what the daemon knows, or what the journal has.
pub(super) fn incidents(roots: &Roots) -> Vec<Incident> {
    let mut all = match Client::connect(roots) {
        Ok(client) => {
            let answer =
                client.answer("status").ok().and_then(|answer| serde_json::from_value::<Answer>(answer).ok());
            answer.map(|answer| answer.incidents).unwrap_or_default()
        }
        Err(_) => crate::query::incidents::from_journal(roots, None, journald::PATIENCE)
            .map(|(found, _)| found)
            .unwrap_or_default(),
    };
    all.retain(|incident| incident.state.is_open());
    note_progress(roots, &mut all);
    all
}

/// What the daemon knows, or what the journal has.
pub(super) fn state(roots: &Roots) -> anyhow::Result<(Table, Known)> {
    let why = match Client::connect(roots) {
        Ok(client) => return daemon(client, roots),
        Err(ClientError::NoDaemon { .. }) => "peripetyd does not run",
        Err(ClientError::Permission { .. }) => "peripetyd may not be asked",
        Err(error) => return Err(error.into()),
    };
    let no_journal = |words: String| {
        let known = Known {
            by: vec!["sysfs".to_owned()],
            limits: vec![Limit::unseen("peripetyd", words)],
            ..Known::default()
        };
        Ok((Table::default(), known))
    };
    if matches!(journald::access(roots), journald::Access::Denied(_)) {
        return no_journal(format!("{why}, and the journal may not be read: this is what sysfs reports"));
    }
    let reading = Waiting::with("reading the journal");
    let table = journal::table(roots, journald::PATIENCE);
    drop(reading);
    let read = match table {
        Ok(read) => read,
        Err(error @ journald::ReadError::None { .. }) => {
            return no_journal(format!(
                "{why}, and there is no journal ({error}): this is what sysfs reports"
            ));
        }
        Err(error) => {
            return no_journal(format!(
                "{why}, and the journal cannot be read ({error}): this is what sysfs reports"
            ));
        }
    };
    let (since, until) = read.table.span();
    if since.is_none() {
        let unread: String = read.unread.iter().map(|unread| format!("; {unread}")).collect();
        return no_journal(format!(
            "{why}, and the journal has no event of it that can be read: this is what sysfs reports{unread}"
        ));
    }
    let words = format!("{why}: this is what the journal and sysfs report");
    let mut limits = vec![Limit::unseen("peripetyd", words)];
    limits.extend(read.unread.iter().map(|unread| Limit::past("journal", unread.to_string())));
    let by = ["journal", "sysfs"].map(str::to_owned).to_vec();
    Ok((read.table, Known { by, since, until, limits }))
}

fn daemon(client: Client, roots: &Roots) -> anyhow::Result<(Table, Known)> {
    let parse = |answer| -> anyhow::Result<Answer> {
        serde_json::from_value(answer).context("prpt and the running peripetyd are of different versions")
    };
    let mut answer = parse(client.answer("status")?)?;
    let deadline = std::time::Instant::now() + READING;
    while !answer.journal_read && answer.journal_error.is_none() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(200));
        answer = parse(Client::connect(roots)?.answer("status")?)?;
    }
    let mut known = answer.known;
    if known.by.is_empty() {
        known.by.push("peripetyd".to_owned());
    }
    known.by.push("sysfs".to_owned());
    Ok((answer.table, known))
}

/// Says what the daemon cannot see: what does not come need not be well. Whether one runs that can be asked.
pub(super) fn note_limits(roots: &Roots) -> bool {
    let Ok(client) = Client::connect(roots) else { return false };
    let answer: Option<Answer> =
        client.answer("status").ok().and_then(|answer| serde_json::from_value(answer).ok());
    for limit in answer.iter().flat_map(|answer| &answer.known.limits).filter(|limit| limit.unseen) {
        note(&limit.why);
    }
    true
}
