use std::cell::Cell;

use super::*;

#[tokio::test]
async fn a_changed_model_is_read_once_more() {
    let changed = || ModelFileError::Changed { url: "m".into(), found: "a".into(), planned: "b".into() };
    let other = || ModelFileError::IsPartition { url: "m".into() };
    for (changes, calls, is_loaded) in [(0, 1, true), (1, 2, true), (2, 2, false)] {
        let called = Cell::new(0);
        let loaded = again_if_changed(async || {
            called.set(called.get() + 1);
            if called.get() > changes { Ok(()) } else { Err(changed()) }
        });
        assert_eq!((loaded.await.is_ok(), called.get()), (is_loaded, calls), "{changes} changes");
    }
    let called = Cell::new(0);
    let refused = again_if_changed::<()>(async || {
        called.set(called.get() + 1);
        Err(other())
    });
    assert!(matches!(refused.await, Err(ModelFileError::IsPartition { .. })));
    assert_eq!(called.get(), 1);
}
