//! The list of an account's API keys: what is as Argo CD writes it is read whole, with every id.
#![no_main]

use keyguard_core::argocd::token_list::TokenList;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::{Map, Value};

/// An API key as Argo CD writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKey {
    id: String,
    #[serde(rename = "iat")]
    _issued_at: i64,
    #[serde(default, rename = "exp")]
    _expires: i64,
}

fuzz_target!(|input: &[u8]| {
    let list = TokenList::read(input);
    assert!(list.has_all_of(&list));
    // serde takes a list for a struct, field by field; Go does not.
    let are_objects = serde_json::from_slice::<Vec<Map<String, Value>>>(input).is_ok();
    if are_objects && let Ok(keys) = serde_json::from_slice::<Vec<ApiKey>>(input) {
        assert!(list.is_whole());
        assert!(keys.iter().all(|key| list.contains(&key.id)));
    }
    // Whatever it is, what is no JSON has no ids.
    if serde_json::from_slice::<serde::de::IgnoredAny>(input).is_err() && !input.is_empty() {
        assert!(!list.is_whole());
    }
});
