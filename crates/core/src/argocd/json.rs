//! What is read of the JSON of tokens and of lists of them. Where Go's `encoding/json` reads bytes that nobody writes,
//! such as text that is not UTF-8 or half of a surrogate pair, this finds none.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The value, when this is JSON and nothing else follows it.
pub(super) fn value(bytes: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(bytes).ok()
}

/// The members of an object by name, the last of a name; `None` for anything else.
pub(super) fn members<Name: DeserializeOwned + Ord>(
    value: &RawValue,
) -> Option<BTreeMap<Name, &RawValue>> {
    value
        .get()
        .starts_with('{')
        .then(|| serde_json::from_str(value.get()).ok())
        .flatten()
}

/// The text that a string holds; `None` for anything else.
pub(super) fn text(value: &RawValue) -> Option<Zeroizing<String>> {
    let text: Option<String> = serde_json::from_str(value.get()).ok();
    text.map(Zeroizing::new)
}

/// The number; `None` for anything else, and for what no 64-bit float holds.
pub(super) fn number(value: &RawValue) -> Option<f64> {
    serde_json::from_str(value.get()).ok()
}

/// Whether it is `null`.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}
