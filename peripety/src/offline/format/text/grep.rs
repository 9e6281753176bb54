//! What stands before a line that grep or `cat -n` printed: the name of its file, its number.

/// The longest name of a file.
const NAME_MAX: usize = 256;

/// The line itself, where something stands before it that these programs print: `FILE:`, `FILE-` (with context), `FILE:NUMBER:`,
/// `NUMBER:`, `NUMBER-`, a number and a tab.
pub(super) fn text(line: &str) -> Option<&str> {
    if let Some(text) = numbered(line.trim_start_matches(' '), &['\t', ':', '-']) {
        return Some(text);
    }
    let name = line.find(|c: char| !is_of_name(c)).filter(|end| (1..=NAME_MAX).contains(end))?;
    // A name may have a dash in it, so that the one that ends it is the last one before the line.
    let end = if line.get(name..)?.starts_with(':') { name } else { line.get(..name)?.rfind('-')? };
    let text = line.get(end + 1..)?;
    Some(numbered(text, &[':', '-']).unwrap_or(text)).filter(|text| !text.is_empty())
}

const fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '+' | '@' | '=' | '~' | ',')
}

fn numbered<'t>(line: &'t str, ends: &[char]) -> Option<&'t str> {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = line.get(digits..).filter(|_| (1..=9).contains(&digits))?;
    rest.strip_prefix(ends)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_stands_before_the_line_is_left_out() {
        for (line, expected) in [
            ("./cp1/logs/dmesg.log:[   1.5] text", Some("[   1.5] text")),
            (
                "messages-20240101:Jan  1 00:00:00 host kernel: text",
                Some("Jan  1 00:00:00 host kernel: text"),
            ),
            ("dmesg.txt-[   1.5] text", Some("[   1.5] text")),
            ("dmesg.txt:17:[   1.5] text", Some("[   1.5] text")),
            ("dmesg-old.txt-17-[   1.5] text", Some("[   1.5] text")),
            ("17:[   1.5] text", Some("[   1.5] text")),
            ("    17\t[   1.5] text", Some("[   1.5] text")),
            ("--", None),
            ("no prefix at all", None),
            ("", None),
            (":", None),
        ] {
            assert_eq!(text(line), expected, "{line}");
        }
    }
}
