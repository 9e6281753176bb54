//! Names of months as journalctl and syslog daemons write them in other languages than English (`%b` of strftime(3), by the
//! locales of glibc).

/// Number of the month, its names in lower case without a dot at the end. A name that means different months in different
/// languages is left out.
const NAMES: [(i8, &[&str]); 12] = [
    (
        1,
        &[
            "jan", "ene", "gen", "ian", "janv", "jaan", "sty", "led", "янв", "січ", "яну", "oca", "ιαν",
            "tammi",
        ],
    ),
    (2, &["feb", "fev", "fév", "févr", "febr", "veebr", "lut", "úno", "фев", "лют", "şub", "φεβ", "helmi"]),
    (3, &["mar", "mär", "märz", "mars", "mrt", "márc", "märts", "bře", "мар", "бер", "μάρ", "μαρ", "maalis"]),
    (4, &["apr", "avr", "avril", "abr", "ápr", "april", "kwi", "dub", "апр", "кві", "nis", "απρ", "huhti"]),
    (
        5,
        &["may", "mai", "maj", "mag", "mei", "máj", "kvě", "мая", "май", "тра", "μάι", "μαΐ", "μαϊ", "touko"],
    ),
    (
        6,
        &[
            "jun", "juin", "jún", "giu", "iun", "juni", "juuni", "cze", "čen", "čer", "июн", "чер", "юни",
            "haz", "ιούν", "ιουν", "kesä",
        ],
    ),
    (
        7,
        &[
            "jul", "juil", "júl", "lug", "iul", "juli", "juuli", "čec", "июл", "лип", "юли", "tem", "ιούλ",
            "ιουλ", "heinä",
        ],
    ),
    (8, &["aug", "ago", "août", "aoû", "avg", "sie", "авг", "сер", "ağu", "αύγ", "αυγ", "elo"]),
    (9, &["sep", "sept", "set", "szept", "wrz", "zář", "сен", "вер", "eyl", "σεπ", "syys"]),
    (10, &["oct", "okt", "out", "ott", "paź", "říj", "окт", "жов", "eki", "οκτ", "loka"]),
    (11, &["nov", "noi", "lis", "lst", "ноя", "лис", "ное", "kas", "νοέ", "νοε", "marras"]),
    (12, &["dec", "dez", "dic", "déc", "des", "dets", "gru", "pro", "дек", "гру", "ara", "δεκ", "joulu"]),
];

/// Bytes of the longest name that is looked up.
const NAME_MAX: usize = 24;

/// The month that stands at the start of a text, with what follows it: `ноя 12`, `Dez. 3`, `11月 12`.
pub(super) fn month(text: &str) -> Option<(i8, &str)> {
    let end = text.bytes().take(NAME_MAX).position(|b| b == b' ')?;
    let (word, rest) = text.split_at_checked(end)?;
    if let Some(number) = word.strip_suffix(['月', '월']) {
        let number: i8 = number.parse().ok()?;
        return (1..=12).contains(&number).then_some((number, rest));
    }
    let name = word.strip_suffix('.').unwrap_or(word).to_lowercase();
    let is_named = |names: &[&str]| names.contains(&name.as_str());
    NAMES.iter().find(|(_, names)| is_named(names)).map(|(number, _)| (*number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_known_in_many_languages() {
        for (text, number) in [
            ("ноя 12 08", 11),
            ("Dez 24 ", 12),
            ("févr. 1 ", 2),
            ("août 1 ", 8),
            ("mrt 3 ", 3),
            ("11月 12 ", 11),
            ("1월 2 ", 1),
            ("Eki 2 ", 10),
            ("paź 2 ", 10),
        ] {
            let rest = text.split_once(' ').map(|(_, rest)| format!(" {rest}")).unwrap();
            assert_eq!(month(text), Some((number, rest.as_str())), "{text}");
        }
        for text in ["", " ", "foo 1", "13月 1 ", "Jan", "a-very-long-word-that-is-no-month-at-all 1"] {
            assert_eq!(month(text), None, "{text}");
        }
    }

    #[test]
    fn no_name_is_two_months() {
        let mut seen = std::collections::BTreeSet::new();
        for name in NAMES.iter().flat_map(|(_, names)| *names) {
            assert!(seen.insert(name), "{name}");
        }
    }
}
