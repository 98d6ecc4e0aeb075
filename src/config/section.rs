//! Reading a map of settings key by key, collecting what is wrong instead of stopping at it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use keyguard_core::policy::plan::is_object_name;
use keyguard_core::policy::rules::{Mode, Modes, Rule};

/// One map of the file, read key by key; what is left at the end is unknown.
pub(super) struct Section<'a> {
    path: String,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
    faults: &'a mut Vec<String>,
}

impl<'a> Section<'a> {
    /// Reads `value` as the map at `path`; anything else is a fault.
    pub(super) fn of(
        path: &str,
        value: &'a Value,
        faults: &'a mut Vec<String>,
    ) -> Option<Section<'a>> {
        let Value::Object(map) = value else {
            let place = if path.is_empty() { "the file" } else { path };
            faults.push(format!("{place} must be a map of settings"));
            return None;
        };
        Some(Section {
            path: path.to_owned(),
            map,
            known: Vec::new(),
            faults,
        })
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn place(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Notes what is wrong with a key of this map.
    pub(super) fn fault(&mut self, key: &str, problem: &str) {
        let place = self.place(key);
        self.faults.push(format!("{place}: {problem}"));
    }

    /// The map under a key, if it is there.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'_>> {
        let value = self.get(key)?;
        let path = self.place(key);
        Section::of(&path, value, self.faults)
    }

    /// A list of strings.
    pub(super) fn strings(&mut self, key: &'static str, known: &mut Vec<String>) {
        let Some(value) = self.get(key) else { return };
        let texts = value.as_array().map(|list| {
            let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<String>>>()
        });
        match texts {
            Some(Some(texts)) => *known = texts,
            _ => self.fault(key, "must be a list of strings"),
        }
    }

    /// A list of names that namespaces can have.
    pub(super) fn namespaces(&mut self, key: &'static str, known: &mut Vec<String>) {
        self.strings(key, known);
        for name in known.iter() {
            if !is_object_name(name) || name.contains('.') {
                self.fault(key, &format!("{name:?} cannot be a namespace"));
            }
        }
    }

    /// Whether something is to be so.
    pub(super) fn boolean(&mut self, key: &'static str, known: &mut bool) {
        let Some(value) = self.get(key) else { return };
        match value.as_bool() {
            Some(value) => *known = value,
            None => self.fault(key, "must be true or false"),
        }
    }

    /// A string.
    pub(super) fn string(&mut self, key: &'static str, known: &mut String) {
        let Some(value) = self.get(key) else { return };
        match value.as_str() {
            Some(text) => *known = text.to_owned(),
            None => self.fault(key, "must be a string"),
        }
    }

    /// One of the names in `choices`.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        known: &mut T,
        choices: &[(&str, T)],
    ) {
        let Some(value) = self.get(key) else { return };
        match choices
            .iter()
            .find(|(name, _)| value.as_str() == Some(name))
        {
            Some((_, choice)) => *known = *choice,
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                self.fault(key, &format!("must be {}", names.join(" or ")));
            }
        }
    }

    /// A map of rule ids to modes.
    pub(super) fn rules(&mut self, key: &'static str, modes: &mut Modes) {
        let Some(value) = self.get(key) else { return };
        let Value::Object(map) = value else {
            return self.fault(key, "must be a map of rule ids to enforce, warn or audit");
        };
        for (id, mode) in map {
            let rule = Rule::from_id(id);
            let mode = mode.as_str().and_then(Mode::from_name);
            if rule.is_none() {
                self.fault(
                    key,
                    &format!("there is no rule {id:?}; docs/rules.md lists them"),
                );
            }
            if mode.is_none() {
                self.fault(
                    key,
                    &format!("the mode of {id:?} must be enforce, warn or audit"),
                );
            }
            if let (Some(rule), Some(mode)) = (rule, mode) {
                modes.set(rule, mode);
            }
        }
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        known: &mut usize,
        range: RangeInclusive<usize>,
    ) {
        let Some(value) = self.get(key) else { return };
        let number = value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => *known = number,
            None => self.fault(
                key,
                &format!(
                    "must be a whole number from {} to {}",
                    range.start(),
                    range.end()
                ),
            ),
        }
    }

    /// A time with its unit.
    pub(super) fn duration(&mut self, key: &'static str, known: &mut Duration) {
        const MOST: Duration = Duration::from_secs(600);
        let Some(value) = self.get(key) else { return };
        let duration = value
            .as_str()
            .and_then(|text| humantime::parse_duration(text).ok());
        match duration.filter(|duration| *duration <= MOST) {
            Some(duration) => *known = duration,
            None => self.fault(
                key,
                "must be a time with its unit, at most 10m, such as \"5s\" or \"250ms\"",
            ),
        }
    }

    /// A time with its unit, within a range that `told` puts into words.
    pub(super) fn duration_within(
        &mut self,
        key: &'static str,
        known: &mut Duration,
        (range, told): &(RangeInclusive<Duration>, &str),
    ) {
        let Some(value) = self.get(key) else { return };
        let duration = value
            .as_str()
            .and_then(|text| humantime::parse_duration(text).ok());
        match duration.filter(|duration| range.contains(duration)) {
            Some(duration) => *known = duration,
            None => self.fault(key, &format!("must be a time with its unit, {told}")),
        }
    }

    /// Tells every key that nobody asked for.
    pub(super) fn end(self) {
        for key in self.map.keys() {
            if !self.known.contains(&key.as_str()) {
                let place = if self.path.is_empty() {
                    key.clone()
                } else {
                    format!("{}.{key}", self.path)
                };
                self.faults.push(format!(
                    "{place}: no such setting; there are {}",
                    self.known.join(", ")
                ));
            }
        }
    }
}
