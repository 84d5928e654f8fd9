use std::fmt;

use http::{HeaderValue, Method};

use super::{
    captured::Captured,
    error::RuleError,
    normal::Normal,
    path_rule::PathRule,
    readings,
    tree::{self, Leaf, Selected, Tree},
};

/// How requests without a rule are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    Free,
    Refuse,
}

/// The compiled rules of a table. A rule without a value is free.
#[derive(Debug)]
pub(crate) struct Rules<T> {
    rules: Vec<PathRule<T>>,
    matchers: Vec<Matcher>,
    otherwise: Otherwise,
    /// All patterns are in normal form: then one lookup is enough for a path in normal form.
    one_lookup: bool,
}

#[derive(Debug)]
struct Matcher {
    method: Method,
    raw: Tree,
    normal: Tree,
}

/// The result of a lookup.
#[derive(Debug)]
pub(crate) enum Lookup<'a, T> {
    /// 400: the path and its normal form have different prices, or the path contains control bytes
    /// or broken UTF-8.
    Ambiguous,
    /// 404.
    Closed,
    /// Served without payment.
    Free,
    /// 405 with `Allow`.
    MethodNotAllowed { allow: HeaderValue },
    /// 500, and the mistake is logged.
    Misplaced(Misplaced<'a>),
    /// 204 with `Allow`.
    Options { allow: HeaderValue },
    Priced {
        value: &'a T,
        captured: Captured<'a>,
    },
}

/// A layer sees another path than its rules were written for. `Display` is the text to log.
#[derive(Debug)]
pub(crate) struct Misplaced<'a> {
    method: &'a Method,
    pattern: &'a str,
}

impl<T> Rules<T> {
    /// Compiles rules written like `GET /weather/{city}`. `is_same` says whether one value is worth
    /// as much as another, whatever is served for it: then a path may mean either rule.
    pub(crate) fn compile(
        entries: impl IntoIterator<Item = (String, Option<T>)>,
        otherwise: Option<Otherwise>,
        is_same: impl Fn(&T, &T) -> bool,
    ) -> Result<Self, RuleError> {
        let mut rules = entries
            .into_iter()
            .map(|(text, value)| PathRule::parse(&text, value))
            .collect::<Result<Vec<_>, _>>()?;
        if rules.is_empty() {
            return Err(RuleError::empty());
        }
        let otherwise = otherwise.ok_or_else(RuleError::no_default)?;
        for at in 0..rules.len() {
            let same = |earlier: &PathRule<T>| match (&earlier.value, &rules[at].value) {
                (Some(one), Some(other)) => is_same(one, other),
                _ => false,
            };
            rules[at].charge = rules[..at].iter().position(same).unwrap_or(at);
        }
        let mut methods = Vec::new();
        for rule in &rules {
            // Most requests are GET: it comes first.
            match &rule.method {
                method if methods.contains(method) => {}
                &Method::GET => methods.insert(0, Method::GET),
                method => methods.push(method.clone()),
            }
        }
        let matchers = methods
            .into_iter()
            .map(|method| Self::matcher_of(method, &rules))
            .collect::<Result<_, _>>()?;
        let one_lookup = rules.iter().all(|rule| rule.pattern == rule.normal);
        Ok(Self {
            rules,
            matchers,
            otherwise,
            one_lookup,
        })
    }

    /// Makes the matcher of one method from its rules. HEAD and CONNECT also get the rules of GET
    /// that they do not replace.
    fn matcher_of(method: Method, rules: &[PathRule<T>]) -> Result<Matcher, RuleError> {
        let of = |method: &Method| {
            rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| rule.method == *method)
                .collect::<Vec<_>>()
        };
        let mut held = of(&method);
        if matches!(method, Method::HEAD | Method::CONNECT) {
            let own: Vec<_> = held
                .iter()
                .map(|(_, rule)| tree::shape(&rule.pattern))
                .collect();
            held.extend(
                of(&Method::GET)
                    .into_iter()
                    .filter(|(_, rule)| !own.contains(&tree::shape(&rule.pattern))),
            );
        }
        let (mut raw, mut normal) = (Tree::default(), Tree::default());
        for (i, &(index, rule)) in held.iter().enumerate() {
            let leaf = Leaf::new(index, rule.charge, rule.value.is_some());
            if raw.insert(&rule.pattern, leaf).is_err()
                || normal.insert(&rule.normal, leaf).is_err()
            {
                let falls_together = |earlier: &PathRule<T>| {
                    tree::conflict(&earlier.pattern, &rule.pattern)
                        || tree::conflict(&earlier.normal, &rule.normal)
                };
                let earlier = held
                    .iter()
                    .take(i)
                    .map(|(_, earlier)| *earlier)
                    .find(|earlier| falls_together(earlier));
                return Err(RuleError::together(
                    &rule.to_string(),
                    &earlier.unwrap_or(rule).to_string(),
                ));
            }
        }
        Ok(Matcher {
            method,
            raw: raw.with_empty_rests(),
            normal: normal.with_empty_rests(),
        })
    }

    /// Looks up `method` and `path`, the path that the inner service will see. `original_path` is
    /// the path before a nest or a rewriting layer changed it, if known. `is_connect_protocol`
    /// marks the extended CONNECT of RFC 8441.
    #[inline]
    pub(crate) fn lookup<'a>(
        &'a self,
        method: &Method,
        path: &str,
        original_path: Option<&str>,
        is_connect_protocol: bool,
    ) -> Lookup<'a, T> {
        let normal = Normal::of(path);
        let matcher = self.matcher(method, is_connect_protocol);
        let lookup = match matcher.map_or(Selected::Nothing, |matcher| {
            self.select(matcher, path, &normal)
        }) {
            Selected::Torn => return Lookup::Ambiguous,
            Selected::Rule(leaf) if leaf.is_priced => return self.priced(leaf, matcher),
            Selected::Rule(_) => Lookup::Free,
            Selected::Nothing => self.unnamed(method, path, &normal),
        };
        match (&lookup, original_path) {
            (Lookup::Free | Lookup::Closed, Some(original)) if original != path => {
                self.pricing(original).map_or(lookup, |rule| {
                    Lookup::Misplaced(Misplaced {
                        method: &rule.method,
                        pattern: &rule.pattern,
                    })
                })
            }
            _ => lookup,
        }
    }

    fn matcher(&self, method: &Method, is_connect_protocol: bool) -> Option<&Matcher> {
        let of = |method: &Method| {
            self.matchers
                .iter()
                .find(|matcher| matcher.method == *method)
        };
        match *method {
            Method::HEAD => of(method).or_else(|| of(&Method::GET)),
            Method::CONNECT if is_connect_protocol => of(method).or_else(|| of(&Method::GET)),
            // The target of any other CONNECT has no path.
            Method::CONNECT => None,
            _ => of(method),
        }
    }

    #[inline]
    fn select(&self, matcher: &Matcher, path: &str, normal: &Normal<'_>) -> Selected {
        let raw = matcher.raw.select(path);
        if self.one_lookup && normal.is_same() {
            return raw;
        }
        if normal.is_entangled {
            return Selected::Torn;
        }
        let other = matcher.normal.select(&normal.text);
        let is_priced = raw.is_priced() || other.is_priced();
        match (raw, other) {
            (raw, other) if raw.agrees(other) && !(is_priced && normal.is_broken) => raw,
            (raw, other)
                if raw.costs_as(other)
                    && !normal.is_broken
                    && readings::all(path, |spelled, lower| {
                        raw.costs_as(matcher.raw.select(spelled))
                            && raw.costs_as(matcher.normal.select(lower))
                    }) =>
            {
                raw
            }
            _ if is_priced => Selected::Torn,
            (Selected::Rule(_), Selected::Rule(_)) => raw,
            // Free in one spelling only: the default decides.
            _ => Selected::Nothing,
        }
    }

    fn priced<'a>(&'a self, leaf: Leaf, matcher: Option<&'a Matcher>) -> Lookup<'a, T> {
        match (self.rules.get(leaf.rule), matcher) {
            (
                Some(PathRule {
                    value: Some(value),
                    pattern,
                    ..
                }),
                Some(matcher),
            ) => Lookup::Priced {
                value,
                captured: Captured::new(&matcher.raw, pattern),
            },
            _ => Lookup::Ambiguous,
        }
    }

    /// Answers a method without a rule on this path.
    fn unnamed<'a>(&'a self, method: &Method, path: &str, normal: &Normal<'_>) -> Lookup<'a, T> {
        let (mut is_named, mut is_priced, mut is_torn) = (false, false, false);
        let mut allow = String::new();
        for matcher in &self.matchers {
            match self.select(matcher, path, normal) {
                Selected::Nothing => continue,
                Selected::Torn => is_torn = true,
                Selected::Rule(leaf) => {
                    is_named = true;
                    is_priced |= leaf.is_priced;
                    allow.push_str(matcher.method.as_str());
                    allow.push_str(", ");
                    if matcher.method == Method::GET
                        && self
                            .matchers
                            .iter()
                            .all(|other| other.method != Method::HEAD)
                    {
                        allow.push_str("HEAD, ");
                    }
                }
            }
        }
        let is_closed = is_priced || is_torn || (is_named && self.otherwise == Otherwise::Refuse);
        if !is_closed {
            return match self.otherwise {
                Otherwise::Free => Lookup::Free,
                Otherwise::Refuse => Lookup::Closed,
            };
        }
        allow.push_str("OPTIONS");
        let allow = HeaderValue::try_from(allow).unwrap_or(HeaderValue::from_static("OPTIONS"));
        match *method {
            Method::OPTIONS => Lookup::Options { allow },
            _ if is_torn => Lookup::Ambiguous,
            _ => Lookup::MethodNotAllowed { allow },
        }
    }

    /// Finds a rule that prices this path in any spelling, for any method.
    fn pricing(&self, path: &str) -> Option<&PathRule<T>> {
        let normal = Normal::of(path);
        let leaves = self
            .matchers
            .iter()
            .flat_map(|matcher| [matcher.raw.leaf(path), matcher.normal.leaf(&normal.text)]);
        leaves
            .flatten()
            .find(|leaf| leaf.is_priced)
            .and_then(|leaf| self.rules.get(leaf.rule))
    }
}

impl fmt::Display for Misplaced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, pattern } = self;
        write!(
            f,
            "the rule `{method} {pattern}` would price the path that was asked for, but a nest or a rewriting layer gives this \
             layer another one: write the rules as the inner router sees the paths, without the nest's prefix"
        )
    }
}
