//! A JSON object where one belongs, and nothing else.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What an error of serde says was expected.
pub const EXPECTED: &str = "a JSON object";

/// `T` from a JSON object. What serde derives also takes an array for a struct, field by field, which Go
/// does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(EXPECTED)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer
            .deserialize_map(ObjectVisitor(PhantomData))
            .map(Object)
    }
}

/// Whether two texts are the same JSON, however it is spelled.
pub(super) fn same_json(one: &str, two: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    one == two || matches!((parse(one), parse(two)), (Ok(one), Ok(two)) if one == two)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize as Derived;

    #[derive(Debug, PartialEq, Derived)]
    struct Pair<'a> {
        #[serde(borrow)]
        one: &'a str,
        two: Option<u8>,
    }

    #[test]
    fn an_object_is_taken_and_nothing_else() {
        let taken: Object<Pair<'_>> = serde_json::from_str(r#"{"one":"a","two":2}"#).unwrap();
        assert_eq!(
            taken.0,
            Pair {
                one: "a",
                two: Some(2)
            }
        );
        for other in [r#"["a",2]"#, "[]", "\"a\"", "1", "true", "null"] {
            let error = serde_json::from_str::<Object<Pair<'_>>>(other).unwrap_err();
            assert!(error.to_string().contains(EXPECTED), "{other}: {error}");
        }
    }
}
