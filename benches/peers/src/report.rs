//! One line for each target.

pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

pub struct Row {
    pub name: &'static str,
    pub ours: String,
    pub reference: String,
    pub ratio: f64,
    pub target: Target,
}

impl Row {
    /// Ours may take at most so many times what the reference takes.
    pub fn at_most(name: &'static str, target: f64, (ours, reference, ratio): (f64, f64, f64)) -> Self {
        Self { name, ours: time(ours), reference: time(reference), ratio, target: Target::AtMost(target) }
    }

    /// Ours must be at least so many times as fast as the reference.
    pub fn faster(name: &'static str, target: f64, (ours, reference, ratio): (f64, f64, f64)) -> Self {
        Self { name, ours: time(ours), reference: time(reference), ratio: 1.0 / ratio, target: Target::AtLeast(target) }
    }

    /// Ours may take at most so many times the bytes of the reference.
    pub fn bytes(name: &'static str, target: f64, (ours, reference, ratio): (f64, f64, f64)) -> Self {
        let size = |bytes: f64| format!("{:.1} KiB", bytes / 1024.0);
        Self { name, ours: size(ours), reference: size(reference), ratio, target: Target::AtMost(target) }
    }

    /// Ours must do at least so many times as much in a second as the reference.
    pub fn rate(name: &'static str, target: f64, (ours, reference, ratio): (f64, f64, f64)) -> Self {
        let rate = |per_second: f64| format!("{per_second:.0}/s");
        Self { name, ours: rate(ours), reference: rate(reference), ratio, target: Target::AtLeast(target) }
    }

    pub fn print(&self) {
        let (is_met, target) = match self.target {
            Target::AtMost(most) => (self.ratio <= most, format!("<= {most:.2}")),
            Target::AtLeast(least) => (self.ratio >= least, format!(">= {least:.2}")),
        };
        let Self { name, ours, reference, ratio, .. } = self;
        let verdict = if is_met { "ok" } else { "short" };
        println!("{name:<58} {ours:>12} {reference:>12} {ratio:>7.3} {target:>9}  {verdict}");
    }
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 10_000.0 => format!("{ns:.1} ns"),
        ns => format!("{:.1} us", ns / 1000.0),
    }
}
