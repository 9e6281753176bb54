//! The cache over made-up trees, over time, and on the running machine.

use super::*;
use crate::block::Identity;

#[test]
fn the_running_machine_is_known() {
    let cache = BlkCache::scan(&Roots::system()).unwrap();
    for info in cache.all() {
        assert_eq!(info.id.identity, Identity::Live);
        let again = cache.by_dev(info.id.dev, Some(1)).unwrap();
        assert_eq!(again, info);
        let by_name = cache.by_name(&info.id.blk_path, None).unwrap();
        assert_eq!(by_name.id.dev, info.id.dev, "{}", info.id.blk_path);
        println!("{}", serde_json::to_string(&*info).unwrap());
    }
}
