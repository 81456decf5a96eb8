//! State that is carried along but is no part of what the protocol decides on.

use core::{
    hash::{Hash, Hasher},
    ops::{Deref, DerefMut},
};

/// Statistics, spare buffers: equal to any other, absent from the hash. A model checker that compares sessions must not
/// take two of them for different because one has counted more.
#[derive(Clone, Debug, Default)]
pub struct Aside<T>(pub T);

impl<T> PartialEq for Aside<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Aside<T> {}

impl<T> Hash for Aside<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T> Deref for Aside<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Aside<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
