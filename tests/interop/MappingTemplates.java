/*
 * Renders mapping templates as an API Gateway does, in the engine that it has (Velocity 1.7): $input and $util are
 * what its documentation says of them, as far as deploy/aws-api-gateway.json uses them.
 *
 * A line of stdin is {"template":…,"body":…,"params":{…}}, its answer on stdout is the text as a JSON string.
 */

import com.jayway.jsonpath.Configuration;
import com.jayway.jsonpath.JsonPath;
import com.jayway.jsonpath.Option;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringWriter;
import java.util.Base64;
import java.util.Map;
import net.minidev.json.JSONStyle;
import net.minidev.json.JSONValue;
import org.apache.velocity.VelocityContext;
import org.apache.velocity.app.VelocityEngine;

import static java.nio.charset.StandardCharsets.UTF_8;

public class MappingTemplates {
    private static final Configuration LENIENT =
        Configuration.defaultConfiguration().addOptions(Option.DEFAULT_PATH_LEAF_TO_NULL, Option.SUPPRESS_EXCEPTIONS);

    public static class Input {
        private final String body;
        private final Map<String, String> params;

        Input(String body, Map<String, String> params) {
            this.body = body;
            this.params = params;
        }

        public String params(String name) {
            return params.getOrDefault(name, "");
        }

        /** What is not there is an empty text. */
        public Object path(String path) {
            Object found = find(path);
            return found == null ? "" : found;
        }

        public String json(String path) {
            return JSONValue.toJSONString(find(path), JSONStyle.LT_COMPRESS);
        }

        private Object find(String path) {
            return body.isEmpty() ? null : JsonPath.using(LENIENT).parse(body).read(path);
        }
    }

    public static class Util {
        public String base64Encode(Object value) {
            return Base64.getEncoder().encodeToString(String.valueOf(value).getBytes(UTF_8));
        }
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws Exception {
        VelocityEngine engine = new VelocityEngine();
        engine.setProperty("runtime.log.logsystem.class", "org.apache.velocity.runtime.log.NullLogChute");
        engine.init();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        PrintStream out = new PrintStream(System.out, true, UTF_8);
        for (String line; (line = in.readLine()) != null;) {
            Map<String, Object> asked = (Map<String, Object>) JSONValue.parse(line);
            VelocityContext context = new VelocityContext();
            context.put("input", new Input((String) asked.get("body"), (Map<String, String>) asked.get("params")));
            context.put("util", new Util());
            StringWriter text = new StringWriter();
            engine.evaluate(context, text, "template", (String) asked.get("template"));
            out.println(JSONValue.toJSONString(text.toString()));
        }
    }
}
