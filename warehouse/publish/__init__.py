"""What is made from the tables for readers: reads `unified`, writes files, and never a table of the warehouse."""
