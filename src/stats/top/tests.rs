use std::collections::HashMap as Map;

use super::*;

type Counts = Top<u32, u64, ()>;

impl Value for u64 {}

/// Numbers that differ by a multiple of 7 are guessed to be one.
impl Key for u32 {
    fn spread(&self) -> u64 {
        u64::from(*self % 7)
    }
}

fn event(top: &mut Counts, key: u32, nanos: u64) {
    *top.add(key, nanos, || ()) += 1;
}

fn shown(top: &Counts) -> Map<u32, u64> {
    top.shown().map(|(&key, _, &value)| (key, value)).collect()
}

/// Pseudo-random numbers: xorshift64*, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Draws ranks from 0, rank `r` in proportion to `1 / (r + 1)^exponent`.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=keys)
                .map(|rank| {
                    sum += (rank as f64).powf(-exponent);
                    sum
                })
                .collect(),
        )
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let at = random.unit() * self.0.last().unwrap();
        self.0.partition_point(|&sum| sum <= at) as u32
    }
}

#[test]
fn the_heaviest_by_time_and_by_count_of_a_zipf_load_are_shown() {
    let mut random = Random(7);
    let zipf = Zipf::new(100_000, 1.1);
    let mut top = Counts::new(100);
    let (mut counts, mut times) = (Map::<u32, u64>::new(), Map::<u32, u64>::new());
    for number in 0..1_000_000u32 {
        // Half of the events come often and are fast; the others are slow, by another ranking.
        let rank = zipf.draw(&mut random);
        let (key, nanos) = match number % 10 {
            0 => (1_000_000 + rank, 900_000 + random.next() % 200_000),
            _ => (rank, 90_000 + random.next() % 20_000),
        };
        *counts.entry(key).or_default() += 1;
        *times.entry(key).or_default() += nanos;
        event(&mut top, key, nanos);
        if number % 50_000 == 0 {
            top.select();
        }
    }
    top.select();
    let shown = shown(&top);
    for truth in [counts, times] {
        let mut ranked: Vec<_> = truth.into_iter().collect();
        ranked.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
        for (place, (key, _)) in ranked.into_iter().take(20).enumerate() {
            assert!(shown.contains_key(&key), "key {key}, rank {place}");
        }
    }
}

#[test]
fn a_flood_of_keys_leaves_the_values_exact_and_the_memory_bounded() {
    let mut top = Counts::new(10);
    (0..10).for_each(|key| event(&mut top, key, 1_000_000));
    top.select();
    let before = *top.other();
    for key in 10..100_000 {
        event(&mut top, key, 1000);
        event(&mut top, key % 10, 1000);
    }
    assert_eq!(top.candidates.ranked().len(), 10 * CANDIDATES_PER_PLACE);
    assert_eq!(shown(&top), (0..10).map(|key| (key, 10_000)).collect());
    assert_eq!(top.other() - before, 99_990);
    top.select();
    assert_eq!(shown(&top).len(), 10, "keys that came once take no place");
}

#[test]
fn the_sum_of_the_increases_a_scraper_sees_is_exact_whoever_comes_and_goes() {
    let mut random = Random(3);
    let mut top = Counts::new(10);
    let mut last = Map::<u32, u64>::new();
    let (mut last_other, mut increases, mut events) = (0, 0, 0u64);
    for interval in 0..400u32 {
        // Other keys are busy in each interval, so that places change hands all the time.
        for _ in 0..500 {
            let key = interval / 4 * 3 % 60 + (random.next() % 30) as u32;
            event(&mut top, key, random.next() % 1_000_000);
            events += 1;
        }
        if interval % 2 == 0 {
            top.select();
        }
        for (key, value) in shown(&top) {
            // As `increase()`: a value that fell is a counter that began again at 0.
            let before = last.insert(key, value).unwrap_or(0);
            increases += if value < before { value } else { value - before };
        }
        increases += top.other() - last_other;
        last_other = *top.other();
    }
    assert_eq!(increases, events);
}

#[test]
fn a_key_takes_a_free_place_when_it_first_comes() {
    let mut top = Counts::new(2);
    for key in [1, 2, 3, 1] {
        event(&mut top, key, 100);
    }
    assert_eq!((shown(&top), *top.other()), (Map::from([(1, 2), (2, 1)]), 1));
    *top.value_mut(&2) += 5;
    *top.value_mut(&3) += 5;
    assert_eq!((shown(&top), *top.other()), (Map::from([(1, 2), (2, 6)]), 6));
}

#[test]
fn a_key_that_takes_a_place_begins_at_zero_and_returns_with_the_value_it_left_with() {
    let mut top = Counts::new(1);
    (0..5).for_each(|_| event(&mut top, 1, 100));
    (0..100).for_each(|_| event(&mut top, 2, 100));
    top.select();
    // Key 1 leaves and does not count any more; a scrape still sees its last value.
    (0..3).for_each(|_| event(&mut top, 1, 100));
    assert_eq!((shown(&top), *top.other()), (Map::from([(1, 5), (2, 0)]), 103));
    top.select();
    assert_eq!(shown(&top), Map::from([(2, 0)]));
    (0..1000).for_each(|_| event(&mut top, 1, 100));
    top.select();
    assert_eq!(shown(&top), Map::from([(2, 0), (1, 5)]));
}

#[test]
fn keys_of_about_the_same_weight_do_not_flap() {
    let mut random = Random(11);
    let mut top = Counts::new(5);
    let mut before = Vec::new();
    let mut changes = 0;
    for interval in 0..200 {
        for key in 0..10 {
            (0..100 + random.next() % 10).for_each(|_| event(&mut top, key, 1000));
        }
        top.select();
        let mut now: Vec<u32> = shown(&top).into_keys().collect();
        now.sort_unstable();
        changes += u32::from(interval > 0 && now != before);
        before = now;
    }
    assert_eq!(changes, 0);
}

#[test]
fn what_is_idle_gives_its_place_to_what_is_busy() {
    let mut top = Counts::new(1);
    (0..1000).for_each(|_| event(&mut top, 1, 1000));
    top.select();
    for _ in 0..20 {
        (0..50).for_each(|_| event(&mut top, 2, 1000));
        top.select();
    }
    assert!(shown(&top).contains_key(&2));
}

#[test]
fn nothing_is_shown_of_no_places() {
    let mut top = Counts::new(0);
    (0..10).for_each(|key| event(&mut top, key, 1));
    top.select();
    assert_eq!((shown(&top).len(), *top.other()), (0, 10));
}
