//! The ops of fewbits and what they compute with.
pub mod dataset {
    //! Datasets.
    pub mod images;
}
pub mod random;
