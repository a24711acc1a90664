//! Which class comes next.
//!
//! A fixed class estimates volume well, but what its few connections do is taken for what all do. Moving through the
//! classes shows each in turn. Classes without connections are passed over.

use super::{census::Census, class::SampleClass};

/// The next class after `class`, of the same bits, that has connections; `class` itself if no other has.
pub fn next<K: Copy + Ord>(class: SampleClass, census: &Census<K>) -> SampleClass {
    let occupied = occupied(class, census);
    let classes = occupied.len() as u16;
    let number = class.number();
    let next = (1..=classes).map(|step| (number + step) % classes).find(|next| occupied[usize::from(*next)]);
    class.with_number(next.unwrap_or(number))
}

/// How many classes of the same bits have connections.
pub fn occupied_classes<K: Copy + Ord>(class: SampleClass, census: &Census<K>) -> usize {
    occupied(class, census).iter().filter(|occupied| **occupied).count()
}

/// A class of `bits` bits: within or around `class`, and with connections if there is such a one.
pub fn resized<K: Copy + Ord>(class: SampleClass, bits: u8, census: Option<&Census<K>>) -> SampleClass {
    let resized = class.with_bits(bits);
    match census {
        Some(census)
            if resized.bits() > class.bits()
                && !census.iter().any(|(_, socket)| resized.contains(socket.client_port)) =>
        {
            next(resized, census)
        }
        _ => resized,
    }
}

fn occupied<K: Copy + Ord>(class: SampleClass, census: &Census<K>) -> Vec<bool> {
    let mut occupied = vec![false; 1 << class.bits()];
    for (_, socket) in census.iter() {
        occupied[usize::from(class.number_of(socket.client_port))] = true;
    }
    occupied
}

#[cfg(test)]
mod tests {
    use super::{
        super::census::{Listing, Socket},
        *,
    };

    fn census(ports: &[u16]) -> Census<u16> {
        let mut listing = Listing::default();
        for &port in ports {
            let socket =
                Socket { cookie: 1, client_port: port, segments_in: 0, segments_out: 0, client_bytes: 0 };
            listing.add(port, socket, true);
        }
        listing.census().unwrap()
    }

    #[test]
    fn rotation_visits_exactly_the_occupied_classes() {
        // Classes 0, 3, 5 of eight.
        let census = census(&[0x100, 0x106, 0x116, 0x10a]);
        let mut class = SampleClass::new(3, 1, 5).unwrap();
        let visited: Vec<u16> = (0..6)
            .map(|_| {
                class = next(class, &census);
                class.number()
            })
            .collect();
        assert_eq!(visited, [0, 3, 5, 0, 3, 5]);
        assert_eq!(occupied_classes(class, &census), 3);
    }

    #[test]
    fn with_nobody_there_the_class_stays() {
        let class = SampleClass::new(3, 1, 5).unwrap();
        assert_eq!(next(class, &census(&[])), class);
    }

    #[test]
    fn a_resized_class_is_within_the_old_one_unless_that_is_empty() {
        let class = SampleClass::new(1, 1, 1).unwrap();
        assert_eq!(resized::<u16>(class, 3, None).number(), 1);
        assert_eq!(resized(class, 3, Some(&census(&[0x102]))).number(), 1);
        assert_eq!(resized(class, 3, Some(&census(&[0x10a]))).number(), 5);
        assert_eq!(resized(class, 0, Some(&census(&[0x10a]))), class.with_bits(0));
    }
}
