//! Format strings of the kernel's sources: each call of a macro that prints, with all string literals of its arguments.

/// A call that prints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The macro, with the level among its arguments: `pr_err`, `printk[ERR]`.
    pub name: String,
    /// The literals, joined, escapes as they are written.
    pub text: String,
}

/// All calls of these macros in a C source.
pub fn calls(source: &str, wanted: &dyn Fn(&str) -> bool) -> Vec<Found> {
    let source = without_comments(source);
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' {
            at = end_of_text(bytes, at);
            continue;
        }
        if !is_word(*byte) {
            at += 1;
            continue;
        }
        let end = at + bytes.iter().skip(at).take_while(|b| is_word(**b)).count();
        let name = source.get(at..end).unwrap_or_default();
        let open = end + bytes.iter().skip(end).take_while(|b| b.is_ascii_whitespace()).count();
        // A definition of the macro is no call of it.
        let defines =
            source.get(..at).is_some_and(|before| before.trim_end_matches([' ', '\t']).ends_with("#define"));
        if bytes.get(open) == Some(&b'(') && !defines && wanted(name) {
            found.extend(call(name, bytes, open));
        }
        at = end;
    }
    found
}

/// The call whose arguments begin at `open`; nothing if it has no text.
fn call(name: &str, bytes: &[u8], open: usize) -> Option<Found> {
    let (mut depth, mut at) = (0_usize, open);
    let (mut text, mut level) = (String::new(), None);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            b'"' => {
                let end = end_of_text(bytes, at);
                let inner = bytes.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
                text.push_str(&String::from_utf8_lossy(inner));
                at = end;
                continue;
            }
            b'\'' => {
                // A character: it may be a quote or a parenthesis.
                let length = if bytes.get(at + 1) == Some(&b'\\') { 4 } else { 3 };
                at += length;
                continue;
            }
            _ if is_word(*byte) => {
                let end = at + bytes.iter().skip(at).take_while(|b| is_word(**b)).count();
                let word = String::from_utf8_lossy(bytes.get(at..end).unwrap_or_default());
                if let Some(named) = word.strip_prefix("KERN_").or_else(|| word.strip_prefix("ql_log_")) {
                    level.get_or_insert_with(|| named.to_owned());
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    let name = level.map_or_else(|| name.to_owned(), |level| format!("{name}[{level}]"));
    (!text.is_empty()).then_some(Found { name, text })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The place after the text that begins at `start`.
fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' | b'\n' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The source with a space for each comment.
fn without_comments(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        if *byte == b'"' {
            let end = end_of_text(bytes, at).min(bytes.len());
            out.extend_from_slice(bytes.get(at..end).unwrap_or_default());
            at = end;
        } else if rest.starts_with(b"/*") {
            let length =
                rest.windows(2).skip(2).position(|two| two == b"*/").map_or(rest.len(), |end| end + 4);
            out.push(b' ');
            at += length;
        } else if rest.starts_with(b"//") {
            at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(String, String)> {
        let wanted = |name: &str| ["pr_err", "printk", "sdev_printk", "DMERR", "ql_log"].contains(&name);
        calls(source, &wanted).into_iter().map(|f| (f.name, f.text)).collect()
    }

    fn one(name: &str, text: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), text.to_owned())]
    }

    #[test]
    fn literals_are_joined_and_levels_named() {
        assert_eq!(found(r#"pr_err("a %d" " b\n", x);"#), one("pr_err", r"a %d b\n"));
        assert_eq!(found("printk(KERN_ERR \"md: %s\\n\",\n\t\tname);"), one("printk[ERR]", r"md: %s\n"));
        assert_eq!(
            found(r#"sdev_printk(KERN_INFO, sdev, "x %s\n", ok ? "yes" : "no");"#),
            one("sdev_printk[INFO]", r"x %s\nyesno")
        );
        assert_eq!(found(r#"ql_log(ql_log_warn, vha, 0x801c, "x\n");"#), one("ql_log[warn]", r"x\n"));
        assert_eq!(found(r#"DMERR ("say \"%s\"", f(a, (b)));"#), one("DMERR", r#"say \"%s\""#));
    }

    #[test]
    fn comments_definitions_and_other_names_are_no_calls() {
        for source in [
            r#"/* pr_err("x"); */"#,
            r#"// pr_err("x");"#,
            r#"#define pr_err(fmt) printf("x" fmt)"#,
            r#"my_pr_err("x");"#,
            r#"x = "pr_err(\"x\")";"#,
            "pr_err(fmt);",
            "pr_err",
        ] {
            assert_eq!(found(source), [], "{source}");
        }
        assert_eq!(found("pr_err(/* why */ \"a /* b */\", '\"', ')');"), one("pr_err", "a /* b */"));
    }

    #[test]
    fn broken_sources_end() {
        for source in ["pr_err(\"", "pr_err(\"x", "/*", "pr_err((((", "pr_err(')", "\"", "é pr_err(\"é\")"]
        {
            let _ = found(source);
        }
    }
}
