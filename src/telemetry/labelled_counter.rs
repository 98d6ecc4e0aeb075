//! A counter for each value of one label.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use strum::VariantArray;

use super::readable::{Each, Read};

/// Counts by a label, each value of which shows 0 from the start; clones share it.
#[derive(Clone)]
pub struct LabelledCounter<L> {
    label: &'static str,
    family: Family<[(&'static str, &'static str); 1], Counter>,
    of: PhantomData<L>,
}

impl<L: VariantArray + Copy + Into<&'static str>> LabelledCounter<L> {
    pub(super) fn register(
        registry: &mut Registry,
        name: &str,
        help: &str,
        label: &'static str,
    ) -> LabelledCounter<L> {
        let family = Family::default();
        registry.register(name, help, family.clone());
        for value in L::VARIANTS {
            drop(family.get_or_create(&[(label, (*value).into())]));
        }
        LabelledCounter {
            label,
            family,
            of: PhantomData,
        }
    }

    /// One more of this value.
    pub fn inc(&self, value: L) {
        self.inc_by(value, 1);
    }

    /// So many more of this value.
    pub fn inc_by(&self, value: L, count: u64) {
        self.family
            .get_or_create(&[(self.label, value.into())])
            .inc_by(count);
    }
}

impl<L> Read for LabelledCounter<L>
where
    L: VariantArray + Copy + Into<&'static str> + Send + Sync + 'static,
{
    const IS_COUNTER: bool = true;

    fn read(&self, each: Each<'_>) {
        for value in L::VARIANTS {
            let labels = [(self.label, (*value).into())];
            let count = self.family.get_or_create(&labels).get();
            each(&labels, count.cast_signed());
        }
    }
}

impl<L> Debug for LabelledCounter<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.family.fmt(formatter)
    }
}
