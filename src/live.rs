//! A value that is exchanged while others use it.

use std::sync::{Arc, PoisonError, RwLock};

/// A value in force. Whoever takes it keeps what it took, however often it is exchanged meanwhile.
#[derive(Debug)]
pub struct Live<T>(RwLock<Arc<T>>);

impl<T> Live<T> {
    /// Begins with `value`.
    pub fn new(value: T) -> Live<T> {
        Live(RwLock::new(Arc::new(value)))
    }

    /// What is in force now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `value` in force, for whoever takes it from now on.
    pub fn exchange(&self, value: T) {
        let value = Arc::new(value);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_took_the_value_keeps_it_and_whoever_comes_gets_the_new_one() {
        let live = Live::new(1);
        let taken = live.get();
        live.exchange(2);
        assert_eq!((*taken, *live.get()), (1, 2));
    }
}
