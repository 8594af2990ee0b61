//! Column types, and conversion of their values to cells.

use chrono::{DateTime, NaiveTime, TimeDelta};
use half::f16;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, Decimal};
use parquet::errors::{ParquetError, Result};
use parquet::record::Field;
use parquet::schema::types::{ColumnDescPtr, Type};

use crate::table::Cell;

/// How values of a column are converted to cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    /// Unsigned, with the bit pattern of the stored number.
    Unsigned,
    Float,
    /// Two bytes per value.
    HalfFloat,
    Text,
    Date,
    Time(Ticks),
    Timestamp {
        ticks: Ticks,
        utc: bool,
    },
    Decimal {
        precision: i32,
        scale: i32,
    },
}

/// A time unit, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticks(i64);

impl Ticks {
    const MILLIS: Self = Self(1_000_000);
    const MICROS: Self = Self(1_000);
    const NANOS: Self = Self(1);

    fn of(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::MILLIS => Self::MILLIS,
            TimeUnit::MICROS => Self::MICROS,
            TimeUnit::NANOS => Self::NANOS,
        }
    }
}

impl Kind {
    /// The kind of a column that is not nested, or the name of its type if it is not supported.
    pub(super) fn of(column: &ColumnDescPtr) -> std::result::Result<Self, String> {
        let logical = column.logical_type_ref();
        if let Some(kind) = logical.and_then(Self::of_logical) {
            return Ok(kind);
        }
        if let Some(kind) = Self::of_converted(column) {
            return Ok(kind);
        }
        match (logical, column.converted_type(), column.physical_type()) {
            (Some(LogicalType::Uuid), _, _) => Err("UUID".into()),
            (Some(LogicalType::Bson), _, _) | (_, ConvertedType::BSON, _) => Err("BSON".into()),
            (_, ConvertedType::INTERVAL, _) => Err("interval".into()),
            (_, _, Physical::BOOLEAN) => Ok(Self::Boolean),
            (_, _, Physical::INT32 | Physical::INT64) => Ok(Self::Integer),
            (_, _, Physical::FLOAT | Physical::DOUBLE) => Ok(Self::Float),
            // Timestamps written by Spark and Impala.
            (_, _, Physical::INT96) => Ok(Self::Timestamp {
                ticks: Ticks::NANOS,
                utc: false,
            }),
            (_, _, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => Err("binary".into()),
        }
    }

    fn of_logical(logical: &LogicalType) -> Option<Self> {
        Some(match logical {
            LogicalType::String | LogicalType::Enum | LogicalType::Json => Self::Text,
            LogicalType::Date => Self::Date,
            LogicalType::Time(time) => Self::Time(Ticks::of(time.unit)),
            LogicalType::Timestamp(time) => Self::Timestamp {
                ticks: Ticks::of(time.unit),
                utc: time.is_adjusted_to_u_t_c,
            },
            LogicalType::Integer(integer) if integer.is_signed => Self::Integer,
            LogicalType::Integer(_) => Self::Unsigned,
            LogicalType::Decimal(decimal) => Self::Decimal {
                precision: decimal.precision,
                scale: decimal.scale,
            },
            LogicalType::Float16 => Self::HalfFloat,
            _ => return None,
        })
    }

    /// The kind of a column in a file that predates logical types.
    fn of_converted(column: &ColumnDescPtr) -> Option<Self> {
        let timestamp = |ticks| Self::Timestamp { ticks, utc: true };
        Some(match column.converted_type() {
            ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Self::Text,
            ConvertedType::DATE => Self::Date,
            ConvertedType::TIME_MILLIS => Self::Time(Ticks::MILLIS),
            ConvertedType::TIME_MICROS => Self::Time(Ticks::MICROS),
            ConvertedType::TIMESTAMP_MILLIS => timestamp(Ticks::MILLIS),
            ConvertedType::TIMESTAMP_MICROS => timestamp(Ticks::MICROS),
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64 => Self::Unsigned,
            ConvertedType::DECIMAL => Self::Decimal {
                precision: column.type_precision(),
                scale: column.type_scale(),
            },
            _ => return None,
        })
    }
}

/// The kind of nesting of a field, if any.
pub(super) fn nested(field: &Type) -> Option<String> {
    let info = field.get_basic_info();
    if field.is_primitive() {
        let repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
        return repeated.then(|| "list".into());
    }
    let kind = match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::List), _) | (_, ConvertedType::LIST) => "list",
        (Some(LogicalType::Map), _) | (_, ConvertedType::MAP) => "map",
        _ => "struct",
    };
    Some(kind.into())
}

/// All values of a column chunk with `rows` rows, preceded by `before` rows in the file. `max_level` is the definition
/// level of a value that is present.
///
/// # Errors
/// Damaged pages; a text that is not UTF-8.
pub(super) fn cells(
    reader: ColumnReader,
    kind: Kind,
    max_level: i16,
    before: usize,
    rows: usize,
) -> Result<Vec<Cell>> {
    let drain = Drain {
        max_level,
        before,
        rows,
    };
    match reader {
        ColumnReader::BoolColumnReader(reader) => drain.of(reader, |v| Ok(Cell::Boolean(*v))),
        ColumnReader::Int32ColumnReader(reader) => drain.of(reader, |&v| match kind {
            Kind::Unsigned => Ok(Cell::Integer(i64::from(v.cast_unsigned()))),
            Kind::Decimal { precision, scale } => {
                Ok(decimal(Decimal::from_i32(v, precision, scale)))
            }
            kind => Ok(whole(kind, v.into())),
        }),
        ColumnReader::Int64ColumnReader(reader) => drain.of(reader, |&v| match kind {
            // Numbers of 2^63 and more are stored as text, which preserves all digits.
            Kind::Unsigned if v < 0 => Ok(Cell::Text(v.cast_unsigned().to_string())),
            Kind::Decimal { precision, scale } => {
                Ok(decimal(Decimal::from_i64(v, precision, scale)))
            }
            kind => Ok(whole(kind, v)),
        }),
        ColumnReader::Int96ColumnReader(reader) => drain.of(reader, |v| {
            // The first two of the three words are the nanoseconds of the day.
            let words = v.data();
            let nanos = u64::from(words[1]) << 32 | u64::from(words[0]);
            let rest = (nanos % 1_000_000_000) as i64;
            Ok(timestamp(v.to_seconds(), rest, false))
        }),
        ColumnReader::FloatColumnReader(reader) => {
            // Use the shortest decimal that represents this number: 0.1, not 0.10000000149.
            drain.of(reader, |v| {
                Ok(Cell::Float(v.to_string().parse().unwrap_or(f64::from(*v))))
            })
        }
        ColumnReader::DoubleColumnReader(reader) => drain.of(reader, |v| Ok(Cell::Float(*v))),
        ColumnReader::ByteArrayColumnReader(reader) => drain.of(reader, |v| bytes(kind, v.data())),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            drain.of(reader, |v| bytes(kind, v.data()))
        }
    }
}

/// Reads all values of a column.
struct Drain {
    max_level: i16,
    before: usize,
    rows: usize,
}

impl Drain {
    fn of<T: DataType>(
        self,
        mut reader: ColumnReaderImpl<T>,
        convert: impl Fn(&T::T) -> std::result::Result<Cell, &'static str>,
    ) -> Result<Vec<Cell>> {
        const AT_ONCE: usize = 4096;
        let mut cells = Vec::new();
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        while cells.len() < self.rows {
            levels.clear();
            values.clear();
            let wanted = AT_ONCE.min(self.rows - cells.len());
            let (records, _, _) =
                reader.read_records(wanted, Some(&mut levels), None, &mut values)?;
            if records == 0 {
                break;
            }
            let mut values = values.iter();
            for record in 0..records {
                let present = self.max_level == 0 || levels.get(record) == Some(&self.max_level);
                let value = present.then(|| values.next()).flatten();
                let cell = value.map_or(Ok(Cell::Missing), &convert);
                let row = self.before + cells.len() + 1;
                cells.push(
                    cell.map_err(|problem| ParquetError::General(format!("row {row} {problem}")))?,
                );
            }
        }
        Ok(cells)
    }
}

/// An integer, or the date or time that it encodes.
fn whole(kind: Kind, value: i64) -> Cell {
    match kind {
        Kind::Date => timestamp_parts(value.saturating_mul(86_400), 0)
            .map_or(Cell::Integer(value), |time| {
                Cell::Text(time.format("%Y-%m-%d").to_string())
            }),
        Kind::Time(Ticks(nanos)) => {
            let since_midnight = TimeDelta::nanoseconds(value.saturating_mul(nanos));
            let (time, days) = NaiveTime::MIN.overflowing_add_signed(since_midnight);
            match days {
                0 => Cell::Text(time.format("%H:%M:%S%.f").to_string()),
                _ => Cell::Integer(value),
            }
        }
        Kind::Timestamp {
            ticks: Ticks(nanos),
            utc,
        } => {
            let per_second = 1_000_000_000 / nanos;
            let (seconds, rest) = (value.div_euclid(per_second), value.rem_euclid(per_second));
            timestamp(seconds, rest * nanos, utc)
        }
        _ => Cell::Integer(value),
    }
}

fn timestamp_parts(seconds: i64, nanos: i64) -> Option<chrono::NaiveDateTime> {
    let time = DateTime::from_timestamp(seconds, u32::try_from(nanos).ok()?)?;
    Some(time.naive_utc())
}

/// A point in time, such as `2020-01-31T12:34:56.5Z`; a number of seconds if the year is out of range.
fn timestamp(seconds: i64, nanos: i64, utc: bool) -> Cell {
    match timestamp_parts(seconds, nanos) {
        Some(time) => {
            let zone = if utc { "Z" } else { "" };
            Cell::Text(format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f")))
        }
        None => Cell::Integer(seconds),
    }
}

fn decimal(value: Decimal) -> Cell {
    Cell::Text(Field::Decimal(value).to_string())
}

fn bytes(kind: Kind, data: &[u8]) -> std::result::Result<Cell, &'static str> {
    match (kind, data) {
        (Kind::Decimal { precision, scale }, _) => {
            let value = Decimal::from_bytes(data.to_vec().into(), precision, scale);
            Ok(decimal(value))
        }
        (Kind::HalfFloat, &[low, high]) => {
            let value = f16::from_le_bytes([low, high]);
            let shortest = value.to_string().parse();
            Ok(Cell::Float(shortest.unwrap_or(f64::from(value))))
        }
        _ => match std::str::from_utf8(data) {
            Ok(text) => Ok(Cell::Text(text.into())),
            Err(_) => Err("is not UTF-8"),
        },
    }
}
