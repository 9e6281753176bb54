//! The types of events of a subsystem: `cargo run -p peripety-model --example vocabulary -- scsi`

use peripety_model::{Nature, TYPES};

#[expect(clippy::print_stdout, reason = "that is what the example is for")]
fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for row in TYPES {
        if wanted.is_empty() || wanted.iter().any(|name| name == row.sub_system) {
            let kind = match row.nature {
                Nature::Fault => "fault",
                Nature::Clears => "end of a fault",
                Nature::News => "information",
            };
            println!("{} ({kind}, {})", row.name, row.severity);
        }
    }
}
