import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** What DBeaver and Power BI's bridge do by JDBC: look around, then read the table ticks. Prints one fact a line. */
public class ReadTicks {
    public static void main(String[] arguments) throws Exception {
        Properties who = new Properties();
        who.setProperty("user", arguments[1]);
        who.setProperty("password", arguments[2]);
        for (int place = 3; place < arguments.length; place++) {
            who.setProperty(arguments[place].split("=")[0], arguments[place].split("=")[1]);
        }
        try (Connection store = DriverManager.getConnection(arguments[0], who)) {
            DatabaseMetaData about = store.getMetaData();
            System.out.println("version " + about.getDatabaseProductVersion());
            System.out.println("user " + one(store, "SELECT currentUser()"));
            StringBuilder columns = new StringBuilder();
            try (ResultSet found = about.getColumns(null, "stockwatch", "ticks", "%")) {
                while (found.next()) {
                    columns.append(' ').append(found.getString("COLUMN_NAME"));
                }
            }
            System.out.println("columns" + columns);
            try (ResultSet found = about.getTables(null, "stockwatch", "ticks", null)) {
                System.out.println("table " + (found.next() ? found.getString("TABLE_NAME") : "none"));
            }
            String sql = "SELECT symbol, at, price, day_volume, bid FROM stockwatch.ticks WHERE symbol = ? ORDER BY at";
            try (PreparedStatement asked = store.prepareStatement(sql)) {
                asked.setString(1, "IT'S\\A");
                try (ResultSet rows = asked.executeQuery()) {
                    while (rows.next()) {
                        System.out.println("row " + rows.getString(1) + " " + rows.getTimestamp(2).toInstant() + " " + rows.getDouble(3)
                            + " " + rows.getLong(4) + " " + rows.getObject(5));
                    }
                }
            }
            long count = 0;
            try (Statement many = store.createStatement(); ResultSet rows = many.executeQuery("SELECT number FROM numbers(300000)")) {
                while (rows.next()) {
                    count += rows.getLong(1);
                }
            }
            System.out.println("sum " + count);
            try {
                one(store, "SELECT * FROM stockwatch.nosuch");
            } catch (SQLException error) {
                System.out.println("error " + error.getMessage().replace('\n', ' '));
            }
            try (Statement writing = store.createStatement()) {
                writing.executeUpdate("TRUNCATE TABLE stockwatch.ticks");
            } catch (SQLException error) {
                System.out.println("refused " + error.getMessage().replace('\n', ' '));
            }
        }
    }

    private static String one(Connection store, String sql) throws SQLException {
        try (Statement asked = store.createStatement(); ResultSet found = asked.executeQuery(sql)) {
            found.next();
            return found.getString(1);
        }
    }
}
