//! A set of paths as a tree with sorted nodes, and the algebra of such sets.

use super::element::Element;
use std::cmp::Ordering;

/// A way from an object down to one of its parts.
pub type Path = Vec<Element>;

/// A set of paths. No node is kept that neither is in the set nor leads to a path that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(Vec<Node>);

/// A step, whether the path that ends with it is in the set, and what lies below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) element: Element,
    pub(super) member: bool,
    pub(super) below: Set,
}

impl Set {
    /// No path at all.
    pub const EMPTY: Self = Self(Vec::new());

    /// The same, to look at.
    pub const NOTHING: &'static Self = &Self::EMPTY;

    /// A set of paths that consist of fields.
    #[must_use]
    pub fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Path = path.iter().map(|name| Element::Field((*name).into())).collect();
            set.insert(&path);
        }
        set
    }

    /// The set of nodes that come in order, and each say something.
    pub(super) fn of_nodes(nodes: Vec<Node>) -> Self {
        Self(nodes)
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.0
    }

    pub(super) fn nodes_mut(&mut self) -> &mut Vec<Node> {
        &mut self.0
    }

    /// Adds a node that comes after all others, if it says anything.
    pub(super) fn push(&mut self, element: Element, member: bool, below: Self) {
        if member || !below.is_empty() {
            debug_assert!(self.0.last().is_none_or(|last| last.element < element), "nodes come in order");
            self.0.push(Node { element, member, below });
        }
    }

    pub(super) fn find(&self, element: &Element) -> Option<&Node> {
        let index = self.0.binary_search_by(|node| node.element.cmp(element)).ok()?;
        self.0.get(index)
    }

    pub(super) fn find_field(&self, name: &str) -> Option<&Node> {
        self.0.iter().find(|node| matches!(&node.element, Element::Field(known) if known == name))
    }

    /// Adds a path, and no other one on the way to it.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let index = self.0.binary_search_by(|node| node.element.cmp(first)).unwrap_or_else(|index| {
            self.0.insert(index, Node { element: first.clone(), member: false, below: Self::default() });
            index
        });
        let node = &mut self.0[index];
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert(rest);
        }
    }

    /// Whether no path is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this path is in it.
    #[must_use]
    pub fn has(&self, path: &[Element]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        self.find(first).is_some_and(|node| if rest.is_empty() { node.member } else { node.below.has(rest) })
    }

    /// All paths: those that end here before those that go on.
    #[must_use]
    pub fn paths(&self) -> Vec<Path> {
        let mut out = Vec::new();
        self.gather(&mut Vec::new(), &mut out);
        out
    }

    fn gather(&self, way: &mut Path, out: &mut Vec<Path>) {
        for node in self.0.iter().filter(|node| node.member) {
            out.push(way.iter().chain([&node.element]).cloned().collect());
        }
        for node in &self.0 {
            way.push(node.element.clone());
            node.below.gather(way, out);
            way.pop();
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut out = Vec::with_capacity(self.0.len().max(other.0.len()));
        let (mut left, mut right) = (self.0.into_iter().peekable(), other.0.into_iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (Some(one), Some(other)) => one.element.cmp(&other.element),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return Self(out),
            };
            match order {
                Ordering::Less => out.extend(left.next()),
                Ordering::Greater => out.extend(right.next()),
                Ordering::Equal => {
                    if let (Some(mut one), Some(other)) = (left.next(), right.next()) {
                        one.member |= other.member;
                        one.below = one.below.union(other.below);
                        out.push(one);
                    }
                }
            }
        }
    }

    /// What is in any of many: half of them each time, so that no set is gone through once for each of the others.
    #[must_use]
    pub fn union_of(mut sets: Vec<Self>) -> Self {
        while sets.len() > 1 {
            let mut rest = sets.into_iter();
            sets = Vec::with_capacity(rest.len().div_ceil(2));
            while let Some(one) = rest.next() {
                sets.push(one.union(rest.next().unwrap_or_default()));
            }
        }
        sets.pop().unwrap_or_default()
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for node in &self.0 {
            if let Some(same) = other.find(&node.element) {
                let below = node.below.intersection(&same.below);
                out.push(node.element.clone(), node.member && same.member, below);
            }
        }
        out
    }

    /// What is in this one alone. A path does not take along what lies below it.
    #[must_use]
    pub fn difference(self, other: &Self) -> Self {
        self.reduce(other, |node, gone| {
            node.member &= !gone.member;
            node.below = std::mem::take(&mut node.below).difference(&gone.below);
        })
    }

    /// What is in this one alone. A path takes along all that lies below it.
    #[must_use]
    pub fn without(self, other: &Self) -> Self {
        self.reduce(other, |node, gone| {
            let below = std::mem::take(&mut node.below);
            if !gone.member {
                node.below = below.without(&gone.below);
            }
            node.member &= !gone.member;
        })
    }

    fn reduce(mut self, other: &Self, reduce: impl Fn(&mut Node, &Node)) -> Self {
        if !other.is_empty() {
            self.0.retain_mut(|node| {
                if let Some(gone) = other.find(&node.element) {
                    reduce(node, gone);
                }
                node.member || !node.below.is_empty()
            });
        }
        self
    }
}
