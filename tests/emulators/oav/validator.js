// Checks exchanges with Azure's published descriptions: POST a list of {liveRequest, liveResponse}.
// node validator.js FOLDER_WITH_SPECIFICATION PATTERN…   says the port it listens on, on 127.0.0.1.
const http = require("http");
const { LiveValidator } = require("oav");

const [root, ...patterns] = process.argv.slice(2);

const findings = (result) =>
  result.runtimeException
    ? [{ code: result.runtimeException.code || "RUNTIME", message: String(result.runtimeException.message || result.runtimeException), paths: [] }]
    : (result.errors || []).map((one) => ({ code: one.code, message: one.message, paths: one.pathsInPayload || [] }));

const answer = (response, status, body) => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
};

(async () => {
  const validator = new LiveValidator(
    {
      directory: root,
      fileRoot: root,
      swaggerPathsPattern: patterns,
      excludedSwaggerPathsPattern: [], // by default it leaves out every data plane
      git: { shouldClone: false },
      isPathCaseSensitive: false,
      loadValidatorInBackground: false,
      loadValidatorInInitialize: true,
    },
    () => {},
  );
  await validator.initialize();
  const check = async (exchange) => {
    const found = await validator.validateLiveRequestResponse(exchange);
    const [sent, got] = [found.requestValidationResult, found.responseValidationResult];
    const operation = (sent.operationInfo && sent.operationInfo.operationId) || "";
    return { operation, request: findings(sent), response: findings(got) };
  };
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", async () => {
      try {
        const results = [];
        for (const exchange of JSON.parse(Buffer.concat(parts))) results.push(await check(exchange));
        answer(response, 200, results);
      } catch (error) {
        answer(response, 500, { message: String((error && error.stack) || error) });
      }
    });
  });
  server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
  process.stdin.on("end", () => process.exit()).resume();
})();
