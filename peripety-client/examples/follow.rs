//! Prints what happens: `follow [SEVERITY]`, as bad as that or worse.

use peripety_client::{Content, Filter, Next, Options, Stream};

#[expect(clippy::print_stdout, reason = "that is what the example is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let severity = std::env::args().nth(1).map(|name| name.parse()).transpose()?;
    let filter = Filter { severity, ..Filter::default() };
    let mut stream = Stream::open(Options { filter, incidents: true, ..Options::default() })?;
    while let Next::Item(item) = stream.wait(None)? {
        match item.content() {
            Content::Event(event) => println!("{} {}: {}", event.severity, event.event_type, event.msg),
            Content::Incident(incident) => println!("{} {}", incident.state.as_str(), incident.title),
            Content::Live => println!("following"),
            Content::Gap(why) => println!("something may be missing: {why}"),
            Content::Disconnected => println!("peripetyd ended; waiting for it"),
        }
    }
    Ok(())
}
