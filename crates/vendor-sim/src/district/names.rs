//! Names that trip careless code: accents, apostrophes, hyphens, spaces, other scripts.
//!
//! Each comes with the plain letters that a login name is made of.

use rollcall_domain::Text;

use crate::random::Draw;

/// A name and its plain letters.
pub(super) type Name = (&'static str, &'static str);

pub(super) const FEMALE: &[Name] = &[
    ("Zoë", "zoe"),
    ("Anaïs", "anais"),
    ("Siobhán", "siobhan"),
    ("Emma", "emma"),
    ("Olivia", "olivia"),
    ("Mia", "mia"),
    ("Fatima", "fatima"),
    ("Priya", "priya"),
    ("Amara", "amara"),
    ("Ingrid", "ingrid"),
    ("Chloe", "chloe"),
    ("Ava", "ava"),
    ("Grace", "grace"),
    ("Lucía", "lucia"),
    ("Mary Jane", "maryjane"),
    ("Anne-Sophie", "annesophie"),
    ("Yuki", "yuki"),
    ("Camila", "camila"),
    ("Ella", "ella"),
    ("Harper", "harper"),
    ("Nadia", "nadia"),
    ("Thảo", "thao"),
    ("Σοφία", "sofia"),
    ("伟", "wei"),
];

pub(super) const MALE: &[Name] = &[
    ("José", "jose"),
    ("Łukasz", "lukasz"),
    ("Søren", "soren"),
    ("Liam", "liam"),
    ("Noah", "noah"),
    ("Ethan", "ethan"),
    ("Omar", "omar"),
    ("Hiro", "hiro"),
    ("Lucas", "lucas"),
    ("Mateo", "mateo"),
    ("Kofi", "kofi"),
    ("Jean-Luc", "jeanluc"),
    ("D'Andre", "dandre"),
    ("Elijah", "elijah"),
    ("Björn", "bjorn"),
    ("Minh", "minh"),
    ("Arjun", "arjun"),
    ("Caleb", "caleb"),
    ("Isaac", "isaac"),
    ("Andrés", "andres"),
    ("Tomáš", "tomas"),
    ("Samuel", "samuel"),
    ("Дмитрий", "dmitry"),
    ("محمد", "mohammed"),
];

pub(super) const FAMILY: &[Name] = &[
    ("Smith", "smith"),
    ("Johnson", "johnson"),
    ("García", "garcia"),
    ("Müller", "muller"),
    ("O'Neil", "oneil"),
    ("Nguyễn", "nguyen"),
    ("Kowalski", "kowalski"),
    ("D'Angelo", "dangelo"),
    ("Brown", "brown"),
    ("Davis", "davis"),
    ("López", "lopez"),
    ("Wilson", "wilson"),
    ("Anderson", "anderson"),
    ("Thomas", "thomas"),
    ("Taylor", "taylor"),
    ("Moore", "moore"),
    ("Jackson", "jackson"),
    ("Martin", "martin"),
    ("Lee", "lee"),
    ("Pérez", "perez"),
    ("Thompson", "thompson"),
    ("White", "white"),
    ("Harris", "harris"),
    ("Sánchez-Ruiz", "sanchezruiz"),
    ("Clark", "clark"),
    ("Ó Briain", "obriain"),
    ("van der Berg", "vanderberg"),
    ("de la Cruz", "delacruz"),
    ("Yılmaz", "yilmaz"),
    ("Østergård", "ostergard"),
    ("Háček", "hacek"),
    ("Okafor", "okafor"),
    ("Mbeki", "mbeki"),
    ("Kim", "kim"),
    ("Tanaka", "tanaka"),
    ("Patel", "patel"),
    ("Singh", "singh"),
    ("Haddad", "haddad"),
    ("Cohen", "cohen"),
    ("Ivanova", "ivanova"),
    ("Robinson", "robinson"),
    ("Walker", "walker"),
    ("Young", "young"),
    ("Allen", "allen"),
    ("Wright", "wright"),
    ("Hernández", "hernandez"),
    ("Flores", "flores"),
    ("Smith-Jones", "smithjones"),
    ("Παπαδόπουλος", "papadopoulos"),
    ("李", "li"),
    ("Петров", "petrov"),
];

pub(super) const SCHOOLS: &[&str] = &[
    "Lincoln",
    "Washington",
    "Roosevelt",
    "Jefferson",
    "Cedar Ridge",
    "Maple Grove",
    "Riverside",
    "Oak Hill",
    "Lakeview",
    "César Chávez",
    "Harriet Tubman",
    "Sunnyside",
    "Pine Valley",
    "Franklin",
    "Rosa Parks",
    "St. Mary's",
    "Northgate",
    "Eastbrook",
    "Westfield",
    "Highland",
    "Meadowlark",
    "Sally Ride",
    "Clearwater",
    "Stonebridge",
    "Peñasco",
];

pub(super) const PLACES: &[&str] = &[
    "Springfield",
    "Shelbyville",
    "Ogdenville",
    "Brockway",
    "Riverton",
    "Fairhaven",
    "Greenfield",
    "Milton",
    "Ashland",
    "Georgetown",
    "Salem",
    "Cañon City",
];

pub(super) const CITIES: &[(&str, &str, &str)] = &[
    ("US", "TX", "Austin"),
    ("US", "TX", "San Antonio"),
    ("US", "CA", "San José"),
    ("US", "NM", "Española"),
    ("US", "IL", "Springfield"),
    ("US", "NY", "New York"),
    ("MX", "", "Ciudad de México"),
    ("VN", "", "Đà Nẵng"),
    ("PL", "", "Łódź"),
    ("SO", "", "Muqdisho"),
];

/// A given name that fits a sex.
pub(super) fn given(draw: &mut Draw, female: bool) -> Name {
    *draw.pick(if female { FEMALE } else { MALE })
}

/// The family name `shift` places after `base`, as a renaming leaves it.
pub(super) fn family(base: usize, shift: usize) -> Name {
    FAMILY[(base + shift) % FAMILY.len()]
}

/// A name as a record carries it.
pub(super) const fn text(name: Name) -> Text {
    Text::const_new(name.0)
}
