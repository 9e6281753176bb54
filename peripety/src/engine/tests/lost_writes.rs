//! Written data that is lost, and whose file it was.

use super::*;

#[test]
fn lost_writes_count_on_and_keep_to_their_inode() {
    let wb = |ns, ino, count| {
        kernel(Kind::FilemapSetWbErr, ns, Payload::WbErr(WbErr::unnamed(LOOP0.to_kernel(), ino, 5, count)))
    };
    let events = run(
        all_live(),
        &[
            wb(START, 12, 1),
            wb(START + 1, 13, 1),
            line(START, "BLK_LOST_WRITE block loop0"),
            wb(START + SECOND, 12, 494),
            // After it was closed.
            wb(START + 20 * SECOND, 12, 500),
        ],
    );
    let finals = finals(&events);
    let pages = |e: &Event| e.io.as_ref().and_then(|io| io.lost_pages).unwrap();
    let mut counts: Vec<(u64, u64, u64)> =
        finals.iter().map(|e| (inode(e).unwrap(), e.count, pages(e))).collect();
    counts.sort_unstable();
    // Pages that were lost are no failures.
    assert_eq!(counts, [(12, 1, 6), (12, 1, 494), (13, 1, 1)]);
}

#[test]
fn a_line_about_a_lost_write_is_about_its_inode_or_the_latest() {
    let wb = |ns, ino| {
        let lost = WbErr::unnamed(LOOP0.to_kernel(), ino, 5, 1);
        kernel(Kind::FilemapSetWbErr, ns, Payload::WbErr(lost))
    };
    let events = run(
        all_live(),
        &[
            line(START, "BLK_LOST_WRITE block loop0 fs.inode=12 n=1"),
            wb(START, 12),
            wb(START + 1, 13),
            line(START + 1, "BLK_LOST_WRITE block loop0 fs.inode=13 n=2"),
            line(START + 2, "BLK_LOST_WRITE block loop0 fs.inode=12 n=3"),
            line(START + 3, "BLK_LOST_WRITE block loop0 n=4"),
            // Of which no probe reported.
            line(START + 4, "BLK_LOST_WRITE block loop0 fs.inode=14 n=5"),
        ],
    );
    let reported = |event: &&Event| {
        let lines = event.raw_msgs.iter().map(|line| line.rsplit('=').next().unwrap().to_owned());
        (inode(event).unwrap(), event.count, lines.collect::<Vec<_>>().join(" "))
    };
    let mut reported: Vec<_> = finals(&events).iter().map(reported).collect();
    reported.sort();
    assert_eq!(reported, [(12, 1, "1 3".to_owned()), (13, 1, "2 4".to_owned()), (14, 1, "5".to_owned())]);
}
