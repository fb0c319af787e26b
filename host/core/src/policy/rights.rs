//! What a skill may do by what it was granted, worked out once for as long as it was granted the same.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::{Grants, Requests, effective};

/// The rights of one version of a skill.
#[derive(Default)]
pub(crate) struct Rights(ArcSwapOption<Known>);

struct Known {
    /// What it was granted. Held, so that nothing else can come to lie where it lies.
    granted: Arc<Grants>,
    rights: Arc<Grants>,
}

impl Rights {
    /// As [`effective`] says. `requests` are those of the version, and always the same.
    pub(crate) fn of(&self, requests: &Requests, granted: Arc<Grants>) -> Arc<Grants> {
        if let Some(known) = &*self.0.load()
            && Arc::ptr_eq(&known.granted, &granted)
        {
            return Arc::clone(&known.rights);
        }
        let rights = Arc::new(effective(requests, &[&granted]));
        self.0.store(Some(Arc::new(Known { granted, rights: Arc::clone(&rights) })));
        rights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::store::GrantsStore;
    use crate::state::testing::temporary;

    #[tokio::test]
    async fn rights_are_those_of_what_is_granted_now() {
        let (_dir, state) = temporary();
        let store = GrantsStore::new(state);
        let requests: Requests = serde_json::from_value(serde_json::json!({ "kv": {}, "user": {} })).unwrap();
        let rights = Rights::default();
        let now = || rights.of(&requests, store.of("a"));
        assert_eq!(*now(), Grants::default());
        assert!(Arc::ptr_eq(&now(), &now()), "worked out once where nothing is granted, too");
        store.merge_for_session("a", requests.whole());
        assert_eq!(*now(), requests.whole());
        assert!(Arc::ptr_eq(&now(), &now()));
        store.merge_for_session("b", Grants::default());
        assert!(Arc::ptr_eq(&now(), &now()), "what others are granted is not its own");
        store.revoke("a", None).await.unwrap();
        assert_eq!(*now(), Grants::default(), "at once");
    }
}
