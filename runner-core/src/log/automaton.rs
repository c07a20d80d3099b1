//! Finds all patterns in a stream at once, a byte at a time (Aho and Corasick's automaton).
//!
//! It is exact, linear in the text for any patterns, and knows at each byte how much of the end could still become a
//! match. It is not fast: [`Masker`](super::Masker) lets it see only what a faster search took for possible.

use std::collections::VecDeque;

use super::pattern::{Follow, Kind, Pattern};

/// The state before any byte.
pub(super) const ROOT: u32 = 0;

/// What is known in one state: the text ends with the bytes on the way from the root to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Node {
    /// The longest end of the text that begins a pattern, without being the whole of it.
    pub(super) begun: u32,
    /// The same for patterns whose own bytes are masked: so much must be held back.
    pub(super) held: u32,
    /// Length of the longest masked value that ends here; 0 for none.
    pub(super) value: u32,
    /// A prefix ends here: what follows is masked as far as it is of this kind.
    pub(super) follow: Option<Follow>,
    fail: u32,
    first_edge: u32,
    edges: u32,
}

/// The automaton.
#[derive(Debug)]
pub(super) struct Automaton {
    nodes: Vec<Node>,
    edges: Vec<(u8, u32)>,
    root: Box<[u32; 256]>,
}

impl Automaton {
    /// An automaton for `patterns`, none of which is empty.
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let trie = Trie::new(patterns);
        let mut automaton = trie.flatten();
        automaton.link(&trie);
        automaton
    }

    /// The state after `byte` in `state`.
    #[inline]
    pub(super) fn next(&self, mut state: u32, byte: u8) -> u32 {
        loop {
            if state == ROOT {
                return self.root.get(usize::from(byte)).copied().unwrap_or(ROOT);
            }
            if let Some(next) = self.child(state, byte) {
                return next;
            }
            state = self.node(state).fail;
        }
    }

    /// What is known in `state`.
    #[inline]
    pub(super) fn node(&self, state: u32) -> Node {
        self.nodes.get(state as usize).copied().unwrap_or_default()
    }

    fn child(&self, state: u32, byte: u8) -> Option<u32> {
        let Node { first_edge, edges, .. } = self.node(state);
        let edges = self.edges.get(first_edge as usize..(first_edge + edges) as usize)?;
        edges.iter().find(|(label, _)| *label == byte).map(|(_, target)| *target)
    }

    /// Sets, breadth first, the links for a byte that does not fit, and what is known by them.
    fn link(&mut self, trie: &Trie) {
        let mut queue: VecDeque<u32> = self.root.iter().copied().filter(|state| *state != ROOT).collect();
        while let Some(state) = queue.pop_front() {
            self.inherit(state, trie);
            let node = self.node(state);
            for edge in node.first_edge..node.first_edge + node.edges {
                let Some((byte, target)) = self.edges.get(edge as usize).copied() else { continue };
                let fail = self.next(node.fail, byte);
                if let Some(target) = self.nodes.get_mut(target as usize) {
                    target.fail = fail;
                }
                queue.push_back(target);
            }
        }
    }

    fn inherit(&mut self, state: u32, trie: &Trie) {
        let fallback = self.node(self.node(state).fail);
        let (Some(node), Some(source)) = (self.nodes.get_mut(state as usize), trie.nodes.get(state as usize))
        else {
            return;
        };
        node.begun = if node.edges > 0 { source.depth } else { fallback.begun };
        node.held = if source.within_value { source.depth } else { fallback.held };
        node.value = if source.ends_value { source.depth } else { fallback.value };
        node.follow = source.follow.or(fallback.follow);
    }
}

#[derive(Debug, Default)]
struct TrieNode {
    children: Vec<(u8, u32)>,
    depth: u32,
    within_value: bool,
    ends_value: bool,
    follow: Option<Follow>,
}

#[derive(Debug)]
struct Trie {
    nodes: Vec<TrieNode>,
}

impl Trie {
    fn new(patterns: &[Pattern]) -> Self {
        let mut trie = Self { nodes: vec![TrieNode::default()] };
        for pattern in patterns {
            trie.insert(pattern);
        }
        trie
    }

    fn insert(&mut self, pattern: &Pattern) {
        let is_value = pattern.kind == Kind::Value;
        let mut current = ROOT;
        for byte in &pattern.bytes {
            if let Some(node) = self.nodes.get_mut(current as usize) {
                node.within_value |= is_value && current != ROOT;
            }
            current = self.child(current, *byte);
        }
        if let Some(node) = self.nodes.get_mut(current as usize) {
            match pattern.kind {
                Kind::Value => node.ends_value = true,
                Kind::Prefix(follow) => node.follow = Some(follow),
            }
        }
    }

    fn child(&mut self, parent: u32, byte: u8) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(node) = self.nodes.get_mut(parent as usize) else { return ROOT };
        if let Some((_, child)) = node.children.iter().find(|(label, _)| *label == byte) {
            return *child;
        }
        node.children.push((byte, new));
        let depth = node.depth + 1;
        self.nodes.push(TrieNode { depth, ..TrieNode::default() });
        new
    }

    /// The nodes with their edges in one table, not linked yet.
    fn flatten(&self) -> Automaton {
        let mut edges = Vec::with_capacity(self.nodes.len());
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            nodes.push(Node {
                first_edge: u32::try_from(edges.len()).unwrap_or(u32::MAX),
                edges: u32::try_from(node.children.len()).unwrap_or(u32::MAX),
                ..Node::default()
            });
            edges.extend_from_slice(&node.children);
        }
        let mut root = Box::new([ROOT; 256]);
        for (byte, child) in self.nodes.first().map(|node| node.children.as_slice()).unwrap_or_default() {
            if let Some(entry) = root.get_mut(usize::from(*byte)) {
                *entry = *child;
            }
        }
        Automaton { nodes, edges, root }
    }
}
