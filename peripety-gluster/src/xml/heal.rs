//! `gluster volume heal NAME info summary --xml`.

use super::{XmlError, answer, child, children, number};
use crate::snapshot::Heal;

/// What waits for heal. Each brick counts the entries that it knows of, and bricks of one set know the same: the highest is
/// right, not the sum.
///
/// # Errors
/// It is no such document, or the command failed.
pub fn heal(text: &str) -> Result<Heal, XmlError> {
    answer(text, "healInfo", |info| {
        let bricks = child(info, "bricks").into_iter().flat_map(|list| children(list, "brick"));
        let mut heal = Heal::default();
        for brick in bricks {
            let pending = number(brick, "totalNumberOfEntries").unwrap_or(0);
            let split_brain = number(brick, "numberOfEntriesInSplitBrain").unwrap_or(0);
            heal.pending = heal.pending.max(pending);
            heal.split_brain = heal.split_brain.max(split_brain);
        }
        heal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits() {
        assert_eq!(heal(include_str!("../../tests/data/healsum.xml")).unwrap(), Heal::default());
    }

    #[test]
    fn the_brick_that_knows_most_is_right() {
        let brick = |all: u32, split: u32| {
            format!(
                "<brick><totalNumberOfEntries>{all}</totalNumberOfEntries>\
                 <numberOfEntriesInSplitBrain>{split}</numberOfEntriesInSplitBrain></brick>"
            )
        };
        let text = format!(
            "<cliOutput><healInfo><bricks>{}{}<brick><totalNumberOfEntries>-</totalNumberOfEntries></brick></bricks></healInfo>\
             <opRet>0</opRet></cliOutput>",
            brick(7, 1),
            brick(5, 1)
        );
        assert_eq!(heal(&text).unwrap(), Heal { pending: 7, split_brain: 1 });
    }
}
