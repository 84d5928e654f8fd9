//! Prints one line for each target.

pub enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Printed for information.
    None,
}

/// What was measured: ours, the reference, and their ratio.
type Measured = (f64, f64, f64);

pub struct Row {
    pub name: &'static str,
    pub ours: String,
    pub reference: String,
    pub ratio: f64,
    pub target: Target,
}

impl Row {
    /// Creates a row whose target is the highest ratio of our time to the reference's time.
    pub fn at_most(name: &'static str, target: f64, measured: Measured) -> Self {
        Self::new(name, Target::AtMost(target), measured, time)
    }

    /// Creates a row whose target is the lowest ratio of our speed to the reference's speed.
    pub fn faster(name: &'static str, target: f64, measured: Measured) -> Self {
        let (ours, reference, ratio) = measured;
        let measured = (ours, reference, 1.0 / ratio);
        Self::new(name, Target::AtLeast(target), measured, time)
    }

    /// Creates a row whose target is the highest ratio of our bytes to the reference's bytes.
    pub fn bytes(name: &'static str, target: f64, measured: Measured) -> Self {
        let size = |bytes: f64| format!("{:.1} KiB", bytes / 1024.0);
        Self::new(name, Target::AtMost(target), measured, size)
    }

    /// Creates a row whose target is the lowest ratio of our rate per second to the reference's
    /// rate.
    pub fn rate(name: &'static str, target: f64, measured: Measured) -> Self {
        let rate = |per_second: f64| format!("{per_second:.0}/s");
        Self::new(name, Target::AtLeast(target), measured, rate)
    }

    fn new(
        name: &'static str,
        target: Target,
        (ours, reference, ratio): Measured,
        shown: impl Fn(f64) -> String,
    ) -> Self {
        Self {
            name,
            ours: shown(ours),
            reference: shown(reference),
            ratio,
            target,
        }
    }

    /// Creates a row without a target, from two rates per second.
    pub fn shown(name: &'static str, measured: Measured) -> Self {
        Self {
            target: Target::None,
            ..Self::rate(name, 0.0, measured)
        }
    }

    pub fn print(&self) {
        let verdict = |is_met| if is_met { "ok" } else { "short" };
        let (verdict, target) = match self.target {
            Target::AtMost(most) => (verdict(self.ratio <= most), format!("<= {most:.2}")),
            Target::AtLeast(least) => (verdict(self.ratio >= least), format!(">= {least:.2}")),
            Target::None => ("no target", "-".to_owned()),
        };
        let Self {
            name,
            ours,
            reference,
            ratio,
            ..
        } = self;
        println!("{name:<58} {ours:>12} {reference:>12} {ratio:>7.3} {target:>9}  {verdict}");
    }
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 10_000.0 => format!("{ns:.1} ns"),
        ns => format!("{:.1} us", ns / 1000.0),
    }
}
