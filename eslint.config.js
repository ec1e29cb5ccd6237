import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/*", "!nbgraph/", "!nbgraph/widgets/", "!nbgraph/widgets/static/**", "!eslint.config.js"] },
  js.configs.recommended,
  {
    files: ["nbgraph/widgets/static/*.js"],
    languageOptions: { ecmaVersion: 2022, globals: globals.browser },
    rules: { eqeqeq: "error", "max-lines-per-function": ["error", { max: 40, skipComments: true }] },
  },
];
