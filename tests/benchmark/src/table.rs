//! Rounds, medians and ratios.

use std::time::Instant;

use crate::contestant::{COMPONENT, Contestant, ELASTIC, ENRICHED};
use crate::input::Mix;

/// Nanoseconds per byte of input.
pub struct Row {
    name: String,
    cpu: f64,
    elapsed: f64,
}

/// Runs all contestants once to warm up, then `rounds` times in turn.
pub fn measure(contestants: &mut [Box<dyn Contestant>], input: &[u8], rounds: usize) -> Vec<Row> {
    let mut times = vec![(Vec::new(), Vec::new()); contestants.len()];
    for round in 0..=rounds {
        for (contestant, (cpu, elapsed)) in contestants.iter_mut().zip(&mut times) {
            let (cpu_before, started) = (contestant.cpu_seconds(), Instant::now());
            let bytes = contestant.run(input) as f64;
            if round > 0 {
                cpu.push((contestant.cpu_seconds() - cpu_before) * 1e9 / bytes);
                elapsed.push(started.elapsed().as_secs_f64() * 1e9 / bytes);
            }
        }
    }
    let row = |(contestant, (cpu, elapsed)): (&Box<dyn Contestant>, _)| Row {
        name: contestant.name(),
        cpu: median(cpu),
        elapsed: median(elapsed),
    };
    contestants.iter().zip(times).map(row).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Prints the rows of a mix. `baseline` is the component's CPU time for the clean default format.
pub fn print(mix: Mix, input: &[u8], rows: &[Row], baseline: &mut Option<f64>) {
    let lines = input.iter().filter(|&&byte| byte == b'\n').count();
    println!("\n{mix:?}: {} MB, {} bytes a line", input.len() / 1_000_000, input.len() / lines);
    println!("{:<30} {:>9} {:>9} {:>14} {:>16}", "", "MB/s CPU", "ns/line", "CPU/component", "elapsed MB/s");
    let find = |name: &str| rows.iter().find(|row| row.name == name);
    let component = find(COMPONENT).expect("the component runs in every mix");
    for row in rows {
        let nanos_per_line = row.cpu * (input.len() / lines) as f64;
        let ratio = row.cpu / component.cpu;
        println!(
            "{:<30} {:>9.0} {nanos_per_line:>9.0} {ratio:>14.2} {:>16.0}",
            row.name,
            1e3 / row.cpu,
            1e3 / row.elapsed
        );
    }
    let native = &rows[0];
    println!("component / native: {:.2}", component.cpu / native.cpu);
    println!(
        "component / clean default format, per byte: {:.2}",
        component.cpu / *baseline.get_or_insert(component.cpu)
    );
    if let Some(elastic) = find(ELASTIC) {
        println!("elastic / sekoia, in the component: {:.2}", elastic.cpu / component.cpu);
        if let Some(enriched) = find(ENRICHED) {
            let nanos = (enriched.cpu - elastic.cpu) * (input.len() / lines) as f64;
            println!("enrichment, with two databases and two addresses a record: {nanos:.0} ns a record");
        }
    }
    let command = |threads| rows.iter().find(|row| row.name == format!("command to /dev/null, {threads}"));
    if let (Some(one), Some(two)) = (command("1 thread"), command("2 threads")) {
        println!("throughput of 2 threads / 1 thread: {:.2}", one.elapsed / two.elapsed);
    }
}
