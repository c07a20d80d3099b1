//! The language of `rules:if`: what it says, and whether that holds for some variables.
//!
//! Values behave as they do in GitLab, which is Ruby: an empty string counts as true within `&&` and `||`, and as
//! false where it is the result.

mod evaluate;
mod lexer;
mod parser;
mod pattern;

pub(crate) use evaluate::Patterns;
pub(crate) use pattern::compile_delimited;

/// An expression that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    /// `null`.
    Null,
    /// A string in quotes.
    Text(String),
    /// `$NAME`.
    Variable(String),
    /// `/…/flags`, with both slashes, as written.
    Pattern(String),
    /// `!…`.
    Not(Box<Self>),
    /// Two expressions and what is between them.
    Two(Operator, Box<Self>, Box<Self>),
}

/// What stands between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Match,
    /// `!~`
    NoMatch,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// What is wrong with an expression, and where: in letters from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where it begins.
    pub(crate) offset: usize,
    /// How many letters it is about.
    pub(crate) length: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What would be right.
    pub(crate) help: Option<String>,
}

impl Expression {
    /// Reads an expression, regular expressions included.
    pub(crate) fn parse(text: &str, patterns: &Patterns) -> Result<Self, Fault> {
        parser::parse(lexer::tokens(text)?, text, patterns)
    }
}

#[cfg(test)]
mod tests;
