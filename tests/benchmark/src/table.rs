//! Rounds, medians and ratios.

use std::time::Instant;

use crate::contestant::{COMPONENT, Contestant, ELASTIC, ENRICHED};
use crate::input::Mix;

/// A contestant's nanoseconds per byte of input, in every round.
pub struct Row {
    name: String,
    cpu: Vec<f64>,
    elapsed: Vec<f64>,
}

/// Runs all contestants once to warm up, then `rounds` times in turn.
pub fn measure(contestants: &mut [Box<dyn Contestant>], input: &[u8], rounds: usize) -> Vec<Row> {
    let row = |contestant: &Box<dyn Contestant>| Row { name: contestant.name(), cpu: Vec::new(), elapsed: Vec::new() };
    let mut rows: Vec<Row> = contestants.iter().map(row).collect();
    for round in 0..=rounds {
        for (contestant, row) in contestants.iter_mut().zip(&mut rows) {
            let (cpu_before, started) = (contestant.cpu_seconds(), Instant::now());
            let bytes = contestant.run(input) as f64;
            if round > 0 {
                row.cpu.push((contestant.cpu_seconds() - cpu_before) * 1e9 / bytes);
                row.elapsed.push(started.elapsed().as_secs_f64() * 1e9 / bytes);
            }
        }
    }
    rows
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The median of what `compare` gives for each round: a machine that is busy for a while slows both.
fn paired(these: &[f64], those: &[f64], compare: fn(f64, f64) -> f64) -> f64 {
    median(these.iter().zip(those).map(|(this, that)| compare(*this, *that)).collect())
}

fn ratio(these: &[f64], those: &[f64]) -> f64 {
    paired(these, those, |this, that| this / that)
}

/// Prints the rows of a mix. `baseline` is the component's CPU time for the clean default format.
pub fn print(mix: Mix, input: &[u8], rows: &[Row], baseline: &mut Option<f64>) {
    let lines = input.iter().filter(|&&byte| byte == b'\n').count();
    let bytes_a_line = (input.len() / lines) as f64;
    println!("\n{mix:?}: {} MB, {bytes_a_line} bytes a line", input.len() / 1_000_000);
    println!("{:<32} {:>9} {:>9} {:>14} {:>16}", "", "MB/s CPU", "ns/line", "CPU/component", "elapsed MB/s");
    let find = |name: &str| rows.iter().find(|row| row.name == name);
    let component = find(COMPONENT).expect("the component runs in every mix");
    for row in rows {
        let (cpu, elapsed) = (median(row.cpu.clone()), median(row.elapsed.clone()));
        println!(
            "{:<32} {:>9.0} {:>9.0} {:>14.2} {:>16.0}",
            row.name,
            1e3 / cpu,
            cpu * bytes_a_line,
            ratio(&row.cpu, &component.cpu),
            1e3 / elapsed
        );
    }
    println!("component / native: {:.2}", ratio(&component.cpu, &rows[0].cpu));
    let per_byte = median(component.cpu.clone());
    println!("component / clean default format, per byte: {:.2}", per_byte / *baseline.get_or_insert(per_byte));
    if let Some(elastic) = find(ELASTIC) {
        println!("elastic / sekoia, in the component: {:.2}", ratio(&elastic.cpu, &component.cpu));
        if let Some(enriched) = find(ENRICHED) {
            let nanos = paired(&enriched.cpu, &elastic.cpu, |enriched, elastic| enriched - elastic) * bytes_a_line;
            println!("enrichment, with two databases and two addresses a record: {nanos:.0} ns a record");
        }
    }
    let command = |threads| find(&format!("command to /dev/null, {threads}"));
    if let (Some(one), Some(two)) = (command("1 thread"), command("2 threads")) {
        println!("throughput of 2 threads / 1 thread: {:.2}", ratio(&one.elapsed, &two.elapsed));
    }
}
