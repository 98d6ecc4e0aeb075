//! What was passed over before.

/// Objects that were passed over as elements of an array, with what depth was left.
///
/// An UPDATE tells nearly all managed fields twice, as they will be and as they were. Where the text is that of an object
/// passed over before, it is one too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Familiar<'a> {
    objects: [(u32, &'a str); 8],
    /// How many were ever remembered; the latest take the places of the oldest.
    count: usize,
}

/// How long an object is that is worth remembering.
const WORTH_BYTES: usize = 64;

impl<'a> Familiar<'a> {
    /// The length of the object that `rest` begins with, if it is one of them, and was as deep or deeper.
    pub(super) fn length(&self, rest: &str, depth_left: u32) -> Option<usize> {
        let mut known = self.objects.iter().take(self.count);
        known
            .find(|(depth, object)| *depth <= depth_left && rest.starts_with(object))
            .map(|(_, object)| object.len())
    }

    /// Remembers an object, if a second look at it would cost more than finding it here.
    pub(super) fn remember(&mut self, object: &'a str, depth_left: u32) {
        if object.len() < WORTH_BYTES {
            return;
        }
        let place = self.count % self.objects.len();
        if let Some(place) = self.objects.get_mut(place) {
            *place = (depth_left, object);
        }
        self.count += 1;
    }
}
