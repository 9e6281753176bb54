//! Events that a filter takes: `prpt query -J | cargo run -p peripety-model --example filter -- '{"severity":"error"}'`

use std::{
    error::Error,
    io::{self, BufRead as _},
};

use peripety_model::{Event, Filter};

#[expect(clippy::print_stdout, reason = "that is what the example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let filter: Filter = serde_json::from_str(&std::env::args().nth(1).unwrap_or_else(|| "{}".to_owned()))?;
    if let Some(list) = filter.too_long() {
        return Err(format!("{list} has too many names").into());
    }
    for line in io::stdin().lock().lines() {
        let line = line?;
        if serde_json::from_str::<Event>(&line).is_ok_and(|event| filter.takes_event(&event)) {
            println!("{line}");
        }
    }
    Ok(())
}
