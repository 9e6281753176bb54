//! What became of all, as a table: scenarios down, kernels across.

use std::fmt::Write as _;

use super::{bench::Outcome, scenario::Scenario};

/// Fits into 80 columns with four kernels.
const NAME: usize = 27;
const CELL: usize = 13;

/// The table, with its legend and what kernels cannot give.
pub fn table(outcomes: &[Outcome], played: &[Scenario]) -> String {
    let (mut kernels, mut scenarios) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        if !kernels.contains(&outcome.kernel) {
            kernels.push(outcome.kernel);
        }
        if !scenarios.contains(&&outcome.scenario) {
            scenarios.push(&outcome.scenario);
        }
    }
    scenarios.sort();
    let cell = |kernel: &str, scenario: &String| {
        let found = outcomes.iter().find(|o| o.kernel == kernel && o.scenario == *scenario);
        found.map_or_else(
            || "-".to_owned(),
            |o| format!("{} {:>4.0} s", if o.wrong.is_empty() { "ok" } else { "FAIL" }, o.took.as_secs_f32()),
        )
    };
    let mut out = String::new();
    let mut row = |name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>CELL$}")).collect();
        let _it_is_a_string = writeln!(out, "{name:<NAME$}{cells}");
    };
    row("scenario", kernels.iter().map(|kernel| (*kernel).to_owned()).collect());
    let mut some_are_not = false;
    for scenario in scenarios {
        let cells: Vec<_> = kernels.iter().map(|kernel| cell(kernel, scenario)).collect();
        some_are_not |= cells.iter().any(|cell| cell == "-");
        row(scenario, cells);
    }
    if some_are_not {
        out.push_str("-: not played there\n");
    }
    for scenario in played {
        for cannot in &scenario.cannot {
            let what = cannot.what.as_deref().unwrap_or("be played");
            let on: Vec<_> =
                cannot.kernels.iter().map(String::as_str).filter(|k| kernels.contains(k)).collect();
            if !on.is_empty() {
                let _it_is_a_string =
                    writeln!(out, "{}: {} cannot {what}: {}", scenario.name, on.join(", "), cannot.because);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_readable_in_80_columns() {
        let outcome = |kernel, scenario: &str, seconds, wrong: &[&str]| Outcome {
            kernel,
            scenario: scenario.to_owned(),
            took: Duration::from_secs_f32(seconds),
            wrong: wrong.iter().map(|line| (*line).to_owned()).collect(),
            kept: None,
        };
        let outcomes = [
            outcome("5.10", "thin-pool", 61.4, &[]),
            outcome("5.10", "a-scenario-with-a-long-name", 1234.0, &["wrong"]),
            outcome("6.1", "thin-pool", 9.0, &["wrong"]),
            outcome("6.12", "thin-pool", 60.0, &[]),
            outcome("7.2", "thin-pool", 60.0, &[]),
        ];
        let cannot =
            "summary = ''\nrun = ''\n[[cannot]]\nkernels = ['5.10', '4.4']\nwhat = 'x'\nbecause = 'y'";
        let mut scenario: Scenario = toml::from_str(cannot).unwrap();
        "thin-pool".clone_into(&mut scenario.name);
        let table = table(&outcomes, &[scenario]);
        assert!(table.lines().all(|line| line.len() <= 80), "{table}");
        assert!(table.ends_with("\nthin-pool: 5.10 cannot x: y\n"), "{table}");
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["scenario", "5.10", "6.1", "6.12", "7.2"]);
        assert_eq!(lines[1], ["a-scenario-with-a-long-name", "FAIL", "1234", "s", "-", "-", "-"]);
        assert_eq!(
            lines[2],
            ["thin-pool", "ok", "61", "s", "FAIL", "9", "s", "ok", "60", "s", "ok", "60", "s"]
        );
        assert!(lines[3][0].starts_with("-:"));
    }
}
