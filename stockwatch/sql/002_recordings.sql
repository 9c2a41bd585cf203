-- What is known of a recording's symbols beside the calendar: whether its prices were made up, and whether it began late.
ALTER TABLE instruments{each} {on_cluster}
    ADD COLUMN IF NOT EXISTS simulated Bool DEFAULT false AFTER timezone,
    ADD COLUMN IF NOT EXISTS joins_late Bool DEFAULT false AFTER simulated;
