import js from "@eslint/js";
import globals from "globals";
import tseslint from "typescript-eslint";

/** Rooms of protocol logic take clock, randomness and I/O from outside (docs/architecture.md). */
const pureRooms = [
  "lib/message/**/*.ts",
  "lib/sdp/**/*.ts",
  "lib/auth/**/*.ts",
  "lib/transaction/**/*.ts",
  "lib/dialog/**/*.ts",
  "lib/session/**/*.ts",
  "lib/registration/**/*.ts",
  "lib/subscription/**/*.ts",
  "lib/user-agent/**/*.ts",
];

export default tseslint.config(
  { ignores: ["dist/", "dist.next-*/", "coverage/", "node_modules/", ".test-runs/", "examples/"] },
  js.configs.recommended,
  {
    files: ["**/*.{js,mjs,cjs}"],
    languageOptions: { globals: { ...globals.node } },
  },
  {
    files: ["lib/**/*.ts", "nodes/**/*.ts", "test/**/*.ts", "bench/fleet/**/*.ts"],
    ignores: ["nodes/sidebar/editor/**"],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { project: "./tsconfig.check.json", tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-control-regex": "off",
    },
  },
  {
    // Runs in the browser, with types of its own.
    files: ["nodes/sidebar/editor/**/*.ts"],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        project: "./nodes/sidebar/editor/tsconfig.json",
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["test/**/*.ts", "bench/fleet/**/*.ts"],
    rules: {
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/unbound-method": "off",
    },
  },
  {
    files: pureRooms,
    rules: {
      "no-restricted-globals": [
        "error",
        ...["setTimeout", "setInterval", "setImmediate", "process"].map((name) => ({
          name,
          message: "Protocol rooms take time and environment from outside (docs/architecture.md).",
        })),
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "Use the injected Clock." },
        { object: "Math", property: "random", message: "Use the injected RandomSource." },
      ],
    },
  },
);
