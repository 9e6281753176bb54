//! Prints the incidents that are open, and what to do: `open [SOCKET]`.

use std::path::PathBuf;

use peripety_client::{Incident, Request, SOCKET, ask};

#[expect(clippy::print_stdout, reason = "that is what the example is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = std::env::args_os().nth(1).map_or_else(|| SOCKET.into(), PathBuf::from);
    let answer = ask(&socket, Request { request: "status".into(), ..Request::default() })?;
    let all = answer.get("incidents").cloned().unwrap_or_default();
    let all: Vec<Incident> = serde_json::from_value(all)?;
    let open: Vec<_> = all.iter().filter(|incident| incident.state.is_open()).collect();
    for incident in &open {
        println!("{} since {}: {}", incident.severity, incident.opened, incident.title);
        for action in &incident.actions {
            println!("    {action}");
        }
    }
    println!("{} open", open.len());
    Ok(())
}
