//! Typed indices of axes, nodes and points, and the dense map: a vector that only its own kind of index can index.
//! Knows nothing of what is indexed.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Index, IndexMut};

/// An index of one kind, which is counted from 0.
pub trait DenseId: Copy + Ord + fmt::Debug {
    /// Makes an id from an index.
    fn from_index(index: usize) -> Self;

    /// Returns the index.
    fn index(self) -> usize;
}

macro_rules! dense_id {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl DenseId for $name {
            fn from_index(index: usize) -> Self {
                Self(index as u32)
            }

            fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

dense_id! {
    /// An axis, by its index in the file.
    AxisId
}
dense_id! {
    /// A node, by its index in the file.
    NodeId
}
dense_id! {
    /// A point, by its index among the points of some axes.
    PointId
}

/// A vector that ids of one kind index. It dereferences to a slice, which has the methods that need no index.
#[derive(Clone, PartialEq, Eq)]
pub struct DenseMap<I, T> {
    items: Vec<T>,
    id: PhantomData<fn() -> I>,
}

impl<I: DenseId, T> DenseMap<I, T> {
    /// Adds an item and returns its id.
    pub fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::from_index(self.items.len() - 1)
    }

    /// Returns the item of an id; `None` if there is none.
    #[must_use]
    pub fn get(&self, id: I) -> Option<&T> {
        self.items.get(id.index())
    }

    /// Returns all ids, ascending.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + Clone + use<I, T> {
        (0..self.items.len()).map(I::from_index)
    }

    /// Returns all items, each with its id.
    #[must_use]
    pub fn pairs(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator + Clone {
        self.items.iter().enumerate().map(|(index, item)| (I::from_index(index), item))
    }

    /// Returns the id of the first item that satisfies a condition.
    pub fn find(&self, is_wanted: impl Fn(&T) -> bool) -> Option<I> {
        self.items.iter().position(is_wanted).map(I::from_index)
    }
}

impl<I, T> Default for DenseMap<I, T> {
    fn default() -> Self {
        Self { items: vec![], id: PhantomData }
    }
}

impl<I, T> From<Vec<T>> for DenseMap<I, T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, id: PhantomData }
    }
}

impl<I, T> FromIterator<T> for DenseMap<I, T> {
    fn from_iter<S: IntoIterator<Item = T>>(items: S) -> Self {
        Self::from(Vec::from_iter(items))
    }
}

impl<I, T> IntoIterator for DenseMap<I, T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'m, I, T> IntoIterator for &'m DenseMap<I, T> {
    type Item = &'m T;
    type IntoIter = std::slice::Iter<'m, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<I: DenseId, T> Index<I> for DenseMap<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        &self.items[id.index()]
    }
}

impl<I: DenseId, T> IndexMut<I> for DenseMap<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.items[id.index()]
    }
}

impl<I, T> Deref for DenseMap<I, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<I, T> DerefMut for DenseMap<I, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<I, T: fmt::Debug> fmt::Debug for DenseMap<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_finds_its_item() {
        let mut map: DenseMap<AxisId, char> = "ab".chars().collect();
        let id = map.push('c');
        assert_eq!((map[id], map.get(id), map.get(AxisId::from_index(3))), ('c', Some(&'c'), None));
        assert_eq!(map.find(|item| *item == 'b'), map.ids().nth(1));
        map[id] = 'd';
        let items: Vec<char> =
            map.pairs().map(|(id, item)| if map[id] == *item { *item } else { '?' }).collect();
        assert_eq!(items, ['a', 'b', 'd']);
    }
}
