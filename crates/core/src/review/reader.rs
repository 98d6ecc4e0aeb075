//! Reads a review as serde_json would, in a part of its time.
//!
//! Most of a review is passed over: managed fields, twice. What kube-apiserver writes is read here. On anything else,
//! be it wrong or only unusual (such as an escape in a text that is read), this reader gives up, and serde_json, which
//! stays the authority on what JSON is, reads the whole again and says what is wrong with it. So this one must never
//! take what serde_json would not, and need not take all that it would.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::scan::{GivenUp, Scan};

/// Reads the whole of `text`, in which nothing may lie deeper than `max_depth`.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str, max_depth: usize) -> Result<T, GivenUp> {
    let mut scan = Scan::new(text, max_depth)?;
    let read = T::deserialize(Reader(&mut scan))?;
    scan.end()?;
    Ok(read)
}

impl Error for GivenUp {
    fn custom<M: std::fmt::Display>(_: M) -> Self {
        GivenUp
    }
}

/// A value as its text, whatever it is; the like of [`RawValue`], from either reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a>(pub(super) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a value")
            }

            /// From [`Reader`], which knows the name.
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Raw<'de>, E> {
                Ok(Raw(text))
            }

            /// From serde_json, which does not.
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Raw<'de>, D::Error> {
                <&RawValue>::deserialize(deserializer).map(|value| Raw(value.get()))
            }
        }
        deserializer.deserialize_newtype_struct(RAW, RawVisitor)
    }
}

/// The name by which [`Reader`] knows that a value is wanted as its text.
const RAW: &str = "$keyguard::Raw";

/// Reads one value.
struct Reader<'scan, 'a>(&'scan mut Scan<'a>);

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = GivenUp;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, GivenUp> {
        Err(GivenUp)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GivenUp> {
        let (word, value) = match self.0.peek()? {
            b't' => ("true", true),
            _ => ("false", false),
        };
        self.0.word(word)?;
        visitor.visit_bool(value)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GivenUp> {
        visitor.visit_borrowed_str(self.0.string()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GivenUp> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GivenUp> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GivenUp> {
        if self.0.peek()? != b'n' {
            return visitor.visit_some(self);
        }
        self.0.word("null")?;
        visitor.visit_none()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, GivenUp> {
        match name {
            RAW => visitor.visit_borrowed_str(self.0.raw()?),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GivenUp> {
        self.0.expect(b'[')?;
        self.0.descend()?;
        let mut members = Members::of(self.0);
        let value = visitor.visit_seq(&mut members)?;
        members.close(b']')?;
        Ok(value)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GivenUp> {
        self.0.expect(b'{')?;
        self.0.descend()?;
        let mut members = Members::of(self.0);
        let value = visitor.visit_map(&mut members)?;
        members.close(b'}')?;
        Ok(value)
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GivenUp> {
        self.0.value()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct struct
        enum
    }
}

/// What an array or object holds, one after another.
struct Members<'scan, 'a> {
    scan: &'scan mut Scan<'a>,
    is_first: bool,
}

impl<'scan, 'a> Members<'scan, 'a> {
    fn of(scan: &'scan mut Scan<'a>) -> Self {
        Members {
            scan,
            is_first: true,
        }
    }

    /// Whether another one follows, and not the `closing` bracket.
    #[inline]
    fn has_next(&mut self, closing: u8) -> Result<bool, GivenUp> {
        if self.scan.peek()? == closing {
            return Ok(false);
        }
        if !self.is_first {
            self.scan.expect(b',')?;
        }
        self.is_first = false;
        Ok(true)
    }

    /// Takes the `closing` bracket, behind which there is nothing more.
    #[inline]
    fn close(self, closing: u8) -> Result<(), GivenUp> {
        self.scan.expect(closing)?;
        self.scan.ascend();
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for &mut Members<'_, 'de> {
    type Error = GivenUp;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, GivenUp> {
        match self.has_next(b']')? {
            true => seed.deserialize(Reader(self.scan)).map(Some),
            false => Ok(None),
        }
    }
}

impl<'de> MapAccess<'de> for &mut Members<'_, 'de> {
    type Error = GivenUp;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, GivenUp> {
        if !self.has_next(b'}')? {
            return Ok(None);
        }
        // Nothing but a text is a key, whatever the seed would take.
        match self.scan.peek()? {
            b'"' => seed.deserialize(Reader(self.scan)).map(Some),
            _ => Err(GivenUp),
        }
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, GivenUp> {
        self.scan.expect(b':')?;
        seed.deserialize(Reader(self.scan))
    }
}
