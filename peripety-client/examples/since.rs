//! Prints what came since the last run, each revision once: `since FILE [SOCKET]`. The file keeps the place.

use std::{fs, io::ErrorKind, path::PathBuf};

use peripety_client::{Next, Options, SOCKET, Start, Stream};

#[expect(clippy::print_stdout, reason = "that is what the example is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let file = args.next().ok_or("give the file that keeps the place")?;
    let start = match fs::read_to_string(&file) {
        Ok(cursor) => Start::After(cursor.trim().parse()?),
        Err(error) if error.kind() == ErrorKind::NotFound => Start::Stored,
        Err(error) => return Err(format!("{}: {error}", file.display()).into()),
    };
    let socket = args.next().unwrap_or_else(|| SOCKET.into());
    let mut stream = Stream::open(Options { start, socket, follow: false, ..Options::default() })?;
    let (mut count, mut missed) = (0_u64, 0);
    while let Next::Item(item) = stream.wait(None)? {
        if let Some(event) = item.event() {
            println!("{} {} revision {}: {}", event.timestamp, event.event_type, event.revision, event.msg);
            count += 1;
        }
        missed = item.missed();
        if let Some(cursor) = item.cursor() {
            fs::write(&file, cursor.to_string())?;
        }
    }
    println!("{count} revisions, {missed} that are no longer to be had");
    Ok(())
}
