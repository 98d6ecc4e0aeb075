//! The groups of whoever asks.

/// Group names in the order of the review.
///
/// One text instead of one for each, because every review has some. A name may have a comma in it, so
/// where each ends is kept beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    joined: String,
    ends: Vec<usize>,
}

impl Groups {
    /// All names, joined by commas, to be shown.
    pub fn joined(&self) -> &str {
        &self.joined
    }

    /// Whether this name is among them.
    pub fn contains(&self, name: &str) -> bool {
        let mut start = 0;
        self.ends.iter().any(|end| {
            let group = self.joined.get(start..*end);
            start = end + 1;
            group == Some(name)
        })
    }
}

impl<'a> FromIterator<&'a str> for Groups {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Groups {
        // Room for a few names of the usual length: growing step by step costs more than filling.
        let mut groups = Groups {
            joined: String::with_capacity(128),
            ends: Vec::with_capacity(8),
        };
        for name in names {
            if !groups.ends.is_empty() {
                groups.joined.push(',');
            }
            groups.joined.push_str(name);
            groups.ends.push(groups.joined.len());
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_name_makes_no_other_group() {
        let groups: Groups = ["dev", "ops,admins", "", "system:authenticated"]
            .into_iter()
            .collect();
        assert_eq!(groups.joined(), "dev,ops,admins,,system:authenticated");
        for name in ["dev", "ops,admins", "", "system:authenticated"] {
            assert!(groups.contains(name), "{name}");
        }
        for name in ["ops", "admins", "dev,ops", "de"] {
            assert!(!groups.contains(name), "{name}");
        }
        assert!(!Groups::default().contains(""));
    }
}
