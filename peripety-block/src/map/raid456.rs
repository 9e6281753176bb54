//! RAID 4, 5 and 6: which member has the data and the parity of a chunk (drivers/md/raid5.c, fs/btrfs/volumes.c).

use std::num::NonZeroU64;

use super::{Above, Below, Role, Run};

/// A stripe is a chunk on each member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raid456 {
    /// Sectors of a chunk.
    pub chunk: NonZeroU64,
    /// Where the parity goes from stripe to stripe.
    pub algorithm: Algorithm,
}

/// Where parity and data go from stripe to stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// One parity.
    One(One),
    /// Two parities.
    Two(Two),
    /// RAID 5 (1) and RAID 6 (2 parities) of btrfs.
    Btrfs(u64),
}

/// Algorithms with one parity.
#[expect(missing_docs, reason = "the kernel's and mdadm's names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum One {
    LeftAsymmetric,
    RightAsymmetric,
    LeftSymmetric,
    RightSymmetric,
    First,
    Last,
}

/// Algorithms with two parities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Two {
    /// Q follows P, and both move.
    Moving(One),
    /// `raid6_zr` of dm-raid: the first layout of DDF.
    ZeroRestart,
    /// `raid6_nr`.
    NRestart,
    /// `raid6_nc`.
    NContinue,
    /// RAID 5 with Q on a member of its own, the last.
    QLast(One),
}

impl Algorithm {
    /// The algorithm of `md/layout`.
    pub fn of_md(level: u8, layout: u64) -> Option<Self> {
        let one = |layout| {
            Some(match layout {
                0 => One::LeftAsymmetric,
                1 => One::RightAsymmetric,
                2 => One::LeftSymmetric,
                3 => One::RightSymmetric,
                4 => One::First,
                5 => One::Last,
                _ => return None,
            })
        };
        match (level, layout) {
            (4, _) => Some(Self::One(One::Last)),
            (5, layout) => one(layout).map(Self::One),
            (6, 8) => Some(Self::Two(Two::ZeroRestart)),
            (6, 9) => Some(Self::Two(Two::NRestart)),
            (6, 10) => Some(Self::Two(Two::NContinue)),
            (6, layout @ 16..=20) => one(layout - 16).map(|one| Self::Two(Two::QLast(one))),
            (6, layout) => one(layout).map(|one| Self::Two(Two::Moving(one))),
            _ => None,
        }
    }

    /// The algorithm of a type of dm-raid.
    pub fn of_dm(raid_type: &str) -> Option<Self> {
        let (level, layout) = match raid_type {
            // dm-raid keeps the parity of its RAID 4 first, md last.
            "raid4" => (5, 4),
            "raid5_n" => (5, 5),
            "raid5" | "raid5_ls" => (5, 2),
            "raid5_rs" => (5, 3),
            "raid5_la" => (5, 0),
            "raid5_ra" => (5, 1),
            "raid6" | "raid6_zr" => (6, 8),
            "raid6_nr" => (6, 9),
            "raid6_nc" => (6, 10),
            "raid6_n_6" => (6, 5),
            "raid6_ls_6" => (6, 18),
            "raid6_rs_6" => (6, 19),
            "raid6_la_6" => (6, 16),
            "raid6_ra_6" => (6, 17),
            "raid6_0_6" => (6, 20),
            _ => return None,
        };
        Self::of_md(level, layout)
    }

    fn parities(self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Two(_) => 2,
            Self::Btrfs(parities) => parities.clamp(1, 2),
        }
    }

    /// The members of stripe `stripe` that have its parity, and the function from the number of a data chunk to its member.
    /// There are more members than parities.
    fn stripe(self, members: u64, stripe: u64) -> Stripe {
        let n = members;
        match self {
            Self::One(one) => {
                let (p, order) = one.parity(n, stripe);
                Stripe { members: n, p, q: None, order }
            }
            Self::Two(Two::QLast(one)) => {
                let (p, order) = one.parity(n - 1, stripe);
                Stripe { members: n - 1, p, q: Some(n - 1), order }
            }
            Self::Two(two) => {
                let back = n - 1 - stripe % n;
                let (p, q, order) = match two {
                    Two::Moving(One::LeftAsymmetric) => (back, (back + 1) % n, Order::Around),
                    Two::Moving(One::RightAsymmetric) | Two::ZeroRestart => {
                        (stripe % n, (stripe % n + 1) % n, Order::Around)
                    }
                    Two::Moving(One::LeftSymmetric) => (back, (back + 1) % n, Order::After(2)),
                    Two::Moving(One::RightSymmetric) => (stripe % n, (stripe % n + 1) % n, Order::After(2)),
                    Two::Moving(One::First) => (0, 1, Order::Around),
                    Two::Moving(One::Last) => (n - 2, n - 1, Order::Around),
                    Two::NRestart => {
                        let back = n - 1 - (stripe % n + 1) % n;
                        (back, (back + 1) % n, Order::Around)
                    }
                    Two::NContinue => (back, (back + n - 1) % n, Order::After(1)),
                    Two::QLast(_) => (n - 2, n - 1, Order::Around),
                };
                Stripe { members: n, p, q: Some(q), order }
            }
            Self::Btrfs(_) => {
                let parities = self.parities();
                let p = (stripe % n + n - parities) % n;
                let q = (parities == 2).then(|| (p + 1) % n);
                Stripe { members: n, p, q, order: Order::After(parities) }
            }
        }
    }
}

impl One {
    fn parity(self, n: u64, stripe: u64) -> (u64, Order) {
        let forth = stripe % n;
        match self {
            Self::LeftAsymmetric => (n - 1 - forth, Order::Around),
            Self::RightAsymmetric => (forth, Order::Around),
            Self::LeftSymmetric => (n - 1 - forth, Order::After(1)),
            Self::RightSymmetric => (forth, Order::After(1)),
            Self::First => (0, Order::Around),
            Self::Last => (n - 1, Order::Around),
        }
    }
}

/// In which order the data chunks of a stripe follow each other.
#[derive(Clone, Copy)]
enum Order {
    /// By member, leaving out those with parity.
    Around,
    /// From so many members after P on.
    After(u64),
}

#[derive(Clone, Copy)]
struct Stripe {
    /// Members that take part in the order.
    members: u64,
    p: u64,
    q: Option<u64>,
    order: Order,
}

impl Stripe {
    fn is_parity(&self, member: u64) -> bool {
        member == self.p || Some(member) == self.q
    }

    /// The member with data chunk `index`.
    fn member(&self, index: u64) -> Option<u64> {
        match self.order {
            Order::After(skip) => Some((self.p + skip + index) % self.members),
            Order::Around => {
                (0..self.members).filter(|m| !self.is_parity(*m)).nth(usize::try_from(index).ok()?)
            }
        }
    }

    /// Which data chunk a member has.
    fn index(&self, member: u64) -> Option<u64> {
        match self.order {
            Order::After(skip) => Some((member + 2 * self.members - self.p - skip) % self.members),
            Order::Around => (0..self.members)
                .filter(|m| !self.is_parity(*m))
                .position(|m| m == member)
                .map(|index| index as u64),
        }
    }
}

impl Raid456 {
    pub(super) fn down(self, members: usize, at: u64) -> Run<Below> {
        let chunk = self.chunk.get();
        let within = at % chunk;
        let len = chunk - within;
        let members = members as u64;
        let Some(data) = members.checked_sub(self.algorithm.parities()).and_then(NonZeroU64::new) else {
            return Run::nowhere(len);
        };
        let (number, index) = (at / chunk / data, at / chunk % data);
        let stripe = self.algorithm.stripe(members, number);
        let sector = number * chunk + within;
        let spot = |member: u64, role| Below { member: member as usize, sector, role };
        let mut spots = Vec::with_capacity(3);
        spots.extend(stripe.member(index).map(|member| spot(member, Role::Data)));
        spots.push(spot(stripe.p, Role::Parity));
        spots.extend(stripe.q.map(|q| spot(q, Role::Q)));
        Run { len, spots }
    }

    pub(super) fn up(self, members: usize, member: usize, at: u64) -> Run<Above> {
        let chunk = self.chunk.get();
        let within = at % chunk;
        let len = chunk - within;
        let (members, member) = (members as u64, member as u64);
        let Some(data) = members.checked_sub(self.algorithm.parities()).and_then(NonZeroU64::new) else {
            return Run::nowhere(len);
        };
        let number = at / chunk;
        let stripe = self.algorithm.stripe(members, number);
        let above = |index: u64, role| {
            let number = number.checked_mul(data.get())?.checked_add(index)?;
            Some(Above { sector: number.checked_mul(chunk)?.checked_add(within)?, role })
        };
        let spots = if stripe.p == member {
            (0..data.get()).filter_map(|index| above(index, Role::Parity)).collect()
        } else if stripe.q == Some(member) {
            (0..data.get()).filter_map(|index| above(index, Role::Q)).collect()
        } else {
            stripe.index(member).and_then(|index| above(index, Role::Data)).into_iter().collect()
        };
        Run { len, spots }
    }
}
