//! From tokens to an expression: `!` binds more than comparisons, those more than `&&`, that more than `||`.

use super::{
    Expression, Fault, Operator, Patterns,
    lexer::{Kind, Token, fault},
};

/// Builds the expression. `text` is where the tokens are from.
pub(super) fn parse(tokens: Vec<Token>, text: &str, patterns: &Patterns) -> Result<Expression, Fault> {
    let end = text.chars().count();
    if tokens.is_empty() {
        return Err(fault(
            0,
            end.max(1),
            "an empty expression",
            Some("write a condition such as `$NAME == \"value\"`"),
        ));
    }
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end, patterns };
    let expression = parser.level(LOWEST)?;
    match parser.tokens.next() {
        None => Ok(expression),
        Some(Token { offset, kind: Kind::Close, .. }) => Err(fault(offset, 1, "a `)` without its `(`", None)),
        Some(token) => {
            let help = Some("put `&&` or `||` between two conditions");
            Err(fault(token.offset, token.length, "an operator is missing before this", help))
        }
    }
}

const LOWEST: u8 = 0;
const HIGHEST: u8 = 3;

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    end: usize,
    patterns: &'a Patterns,
}

impl Parser<'_> {
    /// Reads operators that bind at least as much as `level`; equal ones from the left.
    fn level(&mut self, level: u8) -> Result<Expression, Fault> {
        if level >= HIGHEST {
            return self.operand();
        }
        let mut left = self.level(level + 1)?;
        while let Some(Token { kind: Kind::Operator(operator), .. }) = self.tokens.peek() {
            let operator = *operator;
            if strength(operator) != level {
                break;
            }
            self.tokens.next();
            let right = self.level(level + 1)?;
            left = Expression::Two(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression, Fault> {
        let Some(token) = self.tokens.next() else {
            let help = Some("write a variable, a string or `null` after the operator");
            return Err(fault(self.end.saturating_sub(1), 1, "something is missing at the end", help));
        };
        match token.kind {
            Kind::Null => Ok(Expression::Null),
            Kind::Text(text) => Ok(Expression::Text(text)),
            Kind::Variable(name) => Ok(Expression::Variable(name)),
            Kind::Pattern(written) => match self.patterns.check(&written) {
                Ok(()) => Ok(Expression::Pattern(written)),
                Err(message) => {
                    let message = format!("invalid regular expression: {message}");
                    Err(fault(
                        token.offset,
                        token.length,
                        message,
                        Some("it is one of RE2, without look-around"),
                    ))
                }
            },
            Kind::Not => Ok(Expression::Not(Box::new(self.operand()?))),
            Kind::Open => {
                let inner = self.level(LOWEST)?;
                match self.tokens.next() {
                    Some(Token { kind: Kind::Close, .. }) => Ok(inner),
                    Some(other) => {
                        let help = Some("put `&&` or `||` between two conditions");
                        Err(fault(other.offset, other.length, "an operator is missing before this", help))
                    }
                    None => Err(fault(token.offset, 1, "a `(` without its `)`", None)),
                }
            }
            Kind::Operator(_) | Kind::Close => {
                let help = Some("write a variable, a string or `null` here");
                Err(fault(token.offset, token.length, "something is missing before this", help))
            }
        }
    }
}

fn strength(operator: Operator) -> u8 {
    match operator {
        Operator::Or => 0,
        Operator::And => 1,
        Operator::Equal | Operator::NotEqual | Operator::Match | Operator::NoMatch => 2,
    }
}
