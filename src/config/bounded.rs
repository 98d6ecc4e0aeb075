//! Numbers and times that are within their range, or not there at all.

use std::fmt::Display;
use std::ops::Deref;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// A whole number from `MIN` to `MAX`; `DEFAULT` unless another is given, which does not compile outside of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "Value", extend("type" = "integer", "minimum" = MIN, "maximum" = MAX))]
pub struct Count<const MIN: usize, const MAX: usize, const DEFAULT: usize>(usize);

impl<const MIN: usize, const MAX: usize, const DEFAULT: usize> Default
    for Count<MIN, MAX, DEFAULT>
{
    fn default() -> Self {
        const { assert!(MIN <= DEFAULT && DEFAULT <= MAX) };
        Count(DEFAULT)
    }
}

impl<const MIN: usize, const MAX: usize, const DEFAULT: usize> Deref for Count<MIN, MAX, DEFAULT> {
    type Target = usize;

    fn deref(&self) -> &usize {
        &self.0
    }
}

impl<'de, const MIN: usize, const MAX: usize, const DEFAULT: usize> Deserialize<'de>
    for Count<MIN, MAX, DEFAULT>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let told = || D::Error::custom(format!("must be a whole number from {MIN} to {MAX}"));
        let number = usize::deserialize(deserializer).map_err(|_| told())?;
        match (MIN..=MAX).contains(&number) {
            true => Ok(Count(number)),
            false => Err(told()),
        }
    }
}

/// A time from `MIN` to `MAX` milliseconds, written with its unit; `DEFAULT` unless another is given, which does not
/// compile outside of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend(
    "pattern" = "^([0-9]+(ns|us|ms|s|m|h|d))( ?[0-9]+(ns|us|ms|s|m|h|d))*$",
    "x-range" = Self::range(),
))]
pub struct Time<const MIN: u64, const MAX: u64, const DEFAULT: u64>(Duration);

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Time<MIN, MAX, DEFAULT> {
    /// The range in words, such as `10ms to 10m`.
    fn range() -> String {
        format!("{} to {}", shown(MIN), shown(MAX))
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Default for Time<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        const { assert!(MIN <= DEFAULT && DEFAULT <= MAX) };
        Time(Duration::from_millis(DEFAULT))
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Deref for Time<MIN, MAX, DEFAULT> {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

/// Milliseconds with the largest unit that leaves no fraction.
fn shown(milliseconds: u64) -> impl Display {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let fits = |(_, unit): &(&str, u64)| milliseconds > 0 && milliseconds.is_multiple_of(*unit);
    match units.into_iter().find(fits) {
        Some((name, unit)) => format!("{}{name}", milliseconds / unit),
        None => format!("{milliseconds}ms"),
    }
}

impl<'de, const MIN: u64, const MAX: u64, const DEFAULT: u64> Deserialize<'de>
    for Time<MIN, MAX, DEFAULT>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let range = Duration::from_millis(MIN)..=Duration::from_millis(MAX);
        let time = String::deserialize(deserializer)
            .ok()
            .and_then(|text| humantime::parse_duration(&text).ok())
            .filter(|time| range.contains(time));
        time.map(Time).ok_or_else(|| {
            let range = Self::range();
            D::Error::custom(format!("must be a time with its unit, from {range}"))
        })
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Serialize for Time<MIN, MAX, DEFAULT> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        serializer.collect_str(&shown(milliseconds))
    }
}
